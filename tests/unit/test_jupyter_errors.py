"""How errors are shown: the user's lines and the sentence, not our insides."""

from __future__ import annotations

from collections.abc import Callable

from workbench.model.error_display import file_namers, render, report
from workbench.model.errors import ClientError, ConfigError, StrategyError
from workbench.runtime.lifecycle import NODE_TRANSITIONS, Lifecycle, NodeState, NodeTrigger


def raised(function: Callable[[], object]) -> Exception:
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def refuse() -> None:
    Lifecycle("node", NODE_TRANSITIONS, NodeState.CREATED).apply(NodeTrigger.RUN)


def test_frames_of_ours_are_left_out_and_those_of_the_user_shown() -> None:
    text = report(raised(refuse))
    assert "in refuse" in text
    assert "lifecycle.py" not in text
    assert text.endswith("\nLifecycleError: cannot run a CREATED node; allowed now: build, dispose")


def test_without_a_frame_of_the_user_there_is_only_the_sentence() -> None:
    assert report(ConfigError("no")) == "ConfigError: no"


def test_any_other_exception_is_shown_whole() -> None:
    text = report(raised(lambda: 1 / 0))
    assert text.startswith("Traceback")
    assert text.endswith("ZeroDivisionError: division by zero\n")


def users_error() -> None:
    try:
        raise OSError("no route")
    except OSError as error:
        raise ClientError("SYNTHETIC failed") from error


def librarys_error() -> None:
    import json

    try:
        json.loads("{")
    except ValueError as error:
        error.__traceback__ = error.__traceback__.tb_next if error.__traceback__ else None
        raise ClientError("SYNTHETIC failed") from error


def test_a_cause_is_shown_where_it_came_from_the_users_code() -> None:
    assert "OSError: no route" in report(raised(users_error))
    assert "JSONDecodeError" not in report(raised(librarys_error))


def test_a_strategys_own_causes_and_groups_are_all_shown() -> None:
    def on_bar() -> None:
        try:
            {}["first"]
        except KeyError as error:
            raise ExceptionGroup("both", [ValueError("left"), OSError("right")]) from error

    def call() -> None:
        try:
            on_bar()
        except Exception as error:
            raise StrategyError("Bad-001", "on_bar", None, error) from error

    text = report(raised(call))
    for part in ("'first'", "both", "left", "right", "Bad-001 raised ExceptionGroup in on_bar"):
        assert part in text


def test_notes_and_text_of_several_lines_stay() -> None:
    error = ConfigError("first\nsecond")
    error.add_note("third")
    assert render(error, with_cause=False) == ["ConfigError: first", "second", "third"]


def test_files_are_called_what_their_user_calls_them() -> None:
    namer = {__file__: "Cell In[7]"}.get
    file_namers.append(lambda name: namer(name) or name)
    try:
        text = report(raised(refuse))
    finally:
        file_namers.pop()
    assert 'File "Cell In[7]", line' in text
    assert __file__ not in text
