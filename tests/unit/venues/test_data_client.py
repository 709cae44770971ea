"""The data client, the connection under it, and the loop whose time is virtual."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from tests.waiting import GUARD_S
from workbench.model.commands import DataKind, RequestData, Subscribe
from workbench.model.data import BarType
from workbench.model.errors import ClientError, ConfigError, LifecycleError, RunnerError
from workbench.model.identifiers import ComponentId
from workbench.runtime.virtual_time import run_virtual
from workbench.venues import LinkSettings, LinkState, RateLimit, VenueRejectedError
from workbench.venues.connection import Link
from workbench.venues.fake import FAKE
from workbench.venues.rates import Rates
from workbench.venues.testing import FakeTrial, VenueSession

Test = Callable[[FakeTrial, VenueSession], Awaitable[None]]


def play(test: Test, **options: Any) -> None:
    trial = FakeTrial(**options)

    async def work() -> None:
        async with VenueSession(trial, has_orders=False) as session:
            await test(trial, session)

    trial.run(work())


def subscribe(kind: DataKind, trial: FakeTrial, **more: Any) -> Subscribe:
    return Subscribe(
        component_id=ComponentId("X"),
        kind=kind,
        instrument_id=trial.instrument_id,
        ts_init=0,
        **more,
    )


def test_a_subscription_to_what_a_venue_has_not_is_refused_with_what_it_has() -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        with pytest.raises(ClientError, match="has quotes, trades; bars: 1-minute-last"):
            session.data.subscribe(subscribe(DataKind.MARK_PRICES, trial))

    play(test)


def test_bars_a_venue_has_are_its_own_and_others_are_made_inside() -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        own, coarser, made = (
            BarType.parse(f"{trial.instrument_id}-{text}")
            for text in ("1-minute-last", "5-minute-last", "1-minute-last@trades")
        )
        serves = session.data.serves
        assert serves(DataKind.BARS, trial.instrument_id, own)
        assert not serves(DataKind.BARS, trial.instrument_id, coarser)
        assert not serves(DataKind.BARS, trial.instrument_id, made)
        assert list(session.data.bar_types(trial.instrument_id)) == [own]
        elsewhere: Any = "BTC/USDT.ELSEWHERE"
        assert not serves(DataKind.QUOTES, elsewhere)
        assert not serves(DataKind.CUSTOM, trial.instrument_id, None, "News")

    play(test)


def test_a_subscription_the_venue_refuses_is_a_fault_that_names_it() -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        async def refuse(subscription: Any) -> None:
            raise VenueRejectedError("no such stream", "404")

        session.data.datad.subscribe = refuse  # pyright: ignore
        session.desk.subscribe_quotes(trial.instrument_id)
        with pytest.raises(ClientError, match=r"FAKE failed at subscribing to quotes of .*404"):
            await asyncio.wait_for(session.data.run(), GUARD_S)
        with pytest.raises(ClientError, match="404"):
            await session.data.run()

    play(test)


def test_a_request_that_fails_is_answered_with_why() -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        async def fail(request: Any) -> Any:
            raise TimeoutError("the venue is slow")

        session.data.datad.request_history = fail  # pyright: ignore
        session.desk.request_trades(trial.instrument_id)
        await session.until(lambda: session.desk.responses, "the answer")
        assert "the venue is slow" in session.desk.responses[0].error

    play(test)


def test_a_request_without_history_is_answered_at_once() -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        session.data.unsupported |= {"request_history"}
        answer = session.data.request(
            RequestData(
                component_id=ComponentId("X"),
                kind=DataKind.TRADES,
                instrument_id=trial.instrument_id,
                request_id=1,
                ts_init=0,
            )
        )
        assert answer is not None
        assert answer.error == "FAKE has no history"

    play(test)


def test_an_instrument_that_is_not_there_keeps_it_from_connecting() -> None:
    trial = FakeTrial()
    trial.instrument_id = "NO/SUCH.FAKE"  # pyright: ignore

    async def work() -> None:
        trial.instrument_id, there = "NO/SUCH.FAKE", trial.instrument_id  # pyright: ignore
        session = VenueSession(trial, has_orders=False)
        with pytest.raises(ClientError, match="FAKE has no instrument NO/SUCH"):
            await session.data.connect()
        assert session.data.link.state is LinkState.CLOSED
        assert there

    trial.instrument_id = trial.pair.id
    trial.run(work())


def test_what_comes_by_an_old_connection_is_not_heard() -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        sinks: list[Any] = []
        connect = session.data.datad.connect

        async def remember(sink: Any) -> None:
            sinks.append(sink)
            await connect(sink)

        session.data.datad.connect = remember  # pyright: ignore
        for _ in range(2):
            await trial.break_connections()
            await session.until(lambda: session.data.link.state is LinkState.UP, "up again")
        epoch = session.data.link.epoch
        sinks[0].lost("too late")
        sinks[0].gap("too late")
        sinks[0].data("nothing that anybody could take")
        assert session.data.link.state is LinkState.UP
        assert session.data.link.epoch == epoch

    play(test)


def test_a_gap_is_told_to_strategies_without_a_new_connection() -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        session.desk.subscribe_quotes(trial.instrument_id)
        await asyncio.sleep(0.1)
        session.data.link.gap("a sequence number is missing")
        await session.until(lambda: session.desk.gaps, "the gap")
        assert session.data.link.reconnects == 0

    play(test)


class Flaky:
    """Endpoints that connect after so many failures."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.attempts: list[float] = []
        self.closes = 0

    async def connect(self, sink: Any) -> None:
        self.attempts.append(asyncio.get_running_loop().time())
        if 1 < len(self.attempts) <= self.failures + 1:
            raise ConnectionError("not yet")

    async def disconnect(self) -> None:
        self.closes += 1


def test_connecting_again_backs_off() -> None:
    flaky = Flaky(5)

    async def nothing() -> None: ...

    async def work() -> None:
        settings = LinkSettings(first_back_off_s=1.0, most_back_off_s=4.0)
        link = Link("X", flaky, lambda *_: None, nothing, lambda _: None, lambda: 0, settings, None)
        await link.start()
        link.lost("gone")
        await link.up.wait()
        assert link.reconnects == 1
        await link.stop()
        await link.stop()

    run_virtual(work())
    first, *again = flaky.attempts
    waits = [b - a for a, b in zip([first, *again], again, strict=False)]
    assert waits == pytest.approx([1, 2, 4, 4, 4, 4])
    assert flaky.closes == 7


def test_a_link_cannot_start_twice() -> None:
    async def nothing() -> None: ...

    async def work() -> None:
        link = Link(
            "X", Flaky(0), lambda *_: None, nothing, lambda _: None, lambda: 0, LinkSettings(), None
        )
        await link.start()
        with pytest.raises(LifecycleError, match="a link that is up cannot start"):
            await link.start()
        assert link.state is LinkState.UP
        await link.stop()

    run_virtual(work())


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="ping_timeout_s must be above 0"):
        LinkSettings(ping_timeout_s=0)


def test_rates_hold_all_limits_and_keep_something_for_cancels() -> None:
    rates = Rates(
        [
            RateLimit(count=10, interval_s=1.0),
            RateLimit(count=3, interval_s=10.0, orders_only=True),
        ]
    )
    assert [rates.admit(0, is_order=True) for _ in range(2)] == [0, 0]
    assert rates.admit(0, is_order=True) == 10_000_000_000
    assert [rates.admit(0, is_order=False) for _ in range(7)] == [0] * 7
    assert rates.admit(0, is_order=False) == 1_000_000_000
    assert rates.admit(0, is_order=False, is_urgent=True) == 0
    assert rates.admit(0, is_order=False, is_urgent=True) == 1_000_000_000
    rates.block(20_000_000_000)
    assert rates.admit(12_000_000_000, is_order=True) == 8_000_000_000


def test_virtual_time_that_nothing_moves_is_told() -> None:
    async def work() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RunnerError, match="virtual time stands still"):
        run_virtual(work())


def test_a_silence_without_a_ping_is_taken_for_a_lost_connection() -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        await trial.freeze(is_frozen=True)
        began = asyncio.get_running_loop().time()
        await session.until(lambda: session.data.link.reason, "it is noticed")
        assert asyncio.get_running_loop().time() - began < 5
        assert "nothing came for 4 s" in session.data.link.reason

    play(test, plugin=msgspec.structs.replace(FAKE, silence_s=4.0))
