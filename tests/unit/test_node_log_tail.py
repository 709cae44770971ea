"""The log's tail: a node's own lines and nobody's, kept while the node exists."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator

import pytest

import workbench as wb
from tests.node_fakes import Feed, Watcher, in_another_process, make_node, run
from tests.waiting import until, until_running
from workbench.node.log_tail import LINES, LogTail


class Talking(Watcher):
    """Logs each quote, with its own name."""

    word: str = "hello"

    def on_quote(self, quote: wb.Quote) -> None:
        super().on_quote(quote)
        self.log.warning("%s at %s", self.word, quote.bid)


def texts(node: wb.TradingNode) -> list[str]:
    return [line.text for line in node.snapshot().log]


def handlers() -> list[logging.Handler]:
    return list(logging.getLogger("workbench").handlers)


@pytest.fixture(autouse=True)
def known() -> Iterator[None]:
    """Begin without a tail: a test elsewhere may have left a node to the garbage collector."""
    gc.collect()
    before = handlers()
    yield
    gc.collect()
    assert handlers() == before


def test_two_nodes_keep_their_own_lines_and_both_what_is_nobody_s() -> None:
    async def main() -> None:
        feeds = Feed(), Feed()
        one, another = (
            make_node(Talking(word=word), feed=feed)
            for word, feed in zip(("one", "another"), feeds, strict=True)
        )
        for node in (one, another):
            node.build()
            node.run()
            await until_running(node)
        for feed in feeds:
            feed.client.quote()
        await until(lambda: texts(one) and texts(another))
        logging.getLogger("workbench.somewhere").warning("in a cell")
        logging.getLogger("elsewhere").warning("not ours")
        assert texts(one) == ["one at 100.0", "in a cell"]
        assert texts(another) == ["another at 100.0", "in a cell"]
        line = one.snapshot().log[0]
        assert (line.level, line.logger) == ("WARNING", "workbench.strategy.Talking-001")
        for node in (one, another):
            await node.stop_async()
            node.dispose()
        assert "one at 100.0" in texts(one)

    run(main())


def test_it_is_attached_from_build_to_dispose() -> None:
    before = handlers()
    node = make_node(Watcher())
    assert handlers() == before
    node.build()
    added = [handler for handler in handlers() if handler not in before]
    assert [type(handler) for handler in added] == [LogTail]
    node.dispose()
    assert handlers() == before


def test_it_keeps_the_latest_lines_and_counts_all() -> None:
    tail = LogTail(1)
    logger = logging.getLogger("workbench")
    tail.attach()
    try:
        for number in range(LINES + 5):
            logger.warning("line %d", number)
    finally:
        tail.detach()
    logger.warning("after")
    assert [line.text for line in tail.lines()][:: LINES - 1] == ["line 5", f"line {LINES + 4}"]
    assert tail.count == LINES + 5
    assert tail.lines() is tail.lines()


def test_an_exception_is_shown_below_its_line() -> None:
    tail = LogTail(1)
    tail.attach()
    try:
        try:
            raise ValueError("no such thing")
        except ValueError:
            logging.getLogger("workbench.x").exception("it failed")
    finally:
        tail.detach()
    text = tail.lines()[0].text
    assert text.startswith("it failed\nTraceback")
    assert text.endswith("ValueError: no such thing")


def test_where_nobody_set_up_logging_warnings_are_still_printed_once() -> None:
    printed = in_another_process(
        """
        import contextlib, io, logging
        import workbench as wb
        assert not logging.getLogger("workbench").handlers
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            nodes = [wb.TradingNode(), wb.TradingNode()]
            for node in nodes:
                node.build()
            logging.getLogger("workbench.x").warning("seen")
            logging.getLogger("workbench.x").info("not seen")
            for node in nodes:
                node.dispose()
        print(errors.getvalue().split())
        """
    )
    assert printed.split() == ["['seen']"]


def test_a_node_that_is_let_go_undisposed_leaves_no_handler() -> None:
    printed = in_another_process(
        """
        import gc, logging
        import workbench as wb
        node = wb.TradingNode()
        node.build()
        del node
        gc.collect()
        print(logging.getLogger("workbench").handlers)
        """
    )
    assert printed.strip() == "[]"


def test_a_line_that_cannot_be_made_stops_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    tail = LogTail(1)
    record = logging.LogRecord("workbench", 30, "f", 1, "%d", ("no number",), None)
    tail.handle(record)
    assert tail.lines() == ()
