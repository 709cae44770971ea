"""Secrets: every way a value could get out, and where credentials come from."""

from __future__ import annotations

import base64
import copy
import io
import json
import logging
import logging.config
import pickle
import subprocess
import sys
import traceback
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from IPython.core.ultratb import VerboseTB

from workbench.venues import Credentials, CredentialsError, Secret, read_credentials, redact
from workbench.venues.secrets import hide, redact_logs, variable_of, without_secrets

VALUE = "sk-live-9f8e7d6c5b4a"


@pytest.fixture
def secret() -> Secret:
    return Secret(VALUE)


LOOKS: list[Any] = [
    repr,
    str,
    lambda s: f"{s}",
    lambda s: f"{s!r} {s!s} {s:>20}",
    lambda s: "%r %s" % (s, s),  # noqa: UP031
    lambda s: "{} {!r}".format(s, s),  # noqa: UP032
    lambda s: str([s, {"key": s}, (s,)]),
    lambda s: repr(vars(type(s))),
    lambda s: str([getattr(s, name, None) for name in dir(s)]),
    lambda s: repr(copy.copy(s)) + repr(copy.deepcopy([s])),
    lambda s: pickle.dumps(s),
    lambda s: pickle.dumps({"key": s}, protocol=0),
    lambda s: json.dumps({"key": s}, default=str),
    lambda s: json.dumps({"key": s}, default=repr),
    lambda s: msgspec.json.encode({"key": s}, enc_hook=str),
    lambda s: repr(Credentials({"api_key": s})),
    lambda s: pickle.dumps(Credentials({"api_key": s})),
    lambda s: str(dict(Credentials({"api_key": s}))),
]


@pytest.mark.parametrize("look", LOOKS)
def test_no_look_at_a_secret_shows_it(secret: Secret, look: Any) -> None:
    seen = look(secret)
    assert VALUE not in (seen if isinstance(seen, str) else seen.decode("latin-1"))


def test_only_reveal_shows_it(secret: Secret) -> None:
    assert secret.reveal() == VALUE
    assert copy.deepcopy({"key": secret})["key"].reveal() == VALUE


@pytest.mark.parametrize("encode", [json.dumps, msgspec.json.encode, msgspec.msgpack.encode])
def test_encoders_refuse_it_rather_than_show_it(secret: Secret, encode: Any) -> None:
    with pytest.raises(TypeError) as refused:
        encode({"key": secret})
    assert VALUE not in str(refused.value)


def test_a_pickle_gives_a_secret_that_says_it_has_no_value(secret: Secret) -> None:
    restored = pickle.loads(pickle.dumps(secret))
    assert repr(restored) == "***"
    with pytest.raises(CredentialsError, match="came out of a pickle"):
        restored.reveal()


def fail_with(secret: Secret) -> None:
    key, both = secret, {"api_key": secret}
    raise ValueError(f"cannot log in with {key} of {both}")


def test_no_traceback_shows_it_not_even_one_with_locals(secret: Secret) -> None:
    try:
        fail_with(secret)
    except ValueError as error:
        verbose = VerboseTB()
        shown = "\n".join(
            [
                verbose.text(type(error), error, error.__traceback__),
                "".join(traceback.format_exception(error)),
                "".join(
                    traceback.TracebackException.from_exception(error, capture_locals=True).format()
                ),
            ]
        )
    assert "cannot log in" in shown
    assert "***" in shown
    assert VALUE not in shown


def test_redact_finds_it_in_a_text_and_in_a_url() -> None:
    odd = Secret("a+b/c=secret")
    assert redact("key a+b/c=secret here") == "key *** here"
    assert redact("https://x/?key=a%2Bb%2Fc%3Dsecret&z=1") == "https://x/?key=***&z=1"
    del odd
    short = Secret("abc")
    assert redact("abcdef") == "abcdef"
    assert short.reveal() == "abc"


@pytest.fixture
def logged() -> Any:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    names = ("workbench.venues.test", "workbench_example.client", "ccxt.base.exchange")
    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    redact_logs()
    redact_logs()
    try:
        yield loggers, stream
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.propagate = True


def test_no_logger_shows_it(secret: Secret, logged: Any) -> None:
    loggers, stream = logged
    for logger in loggers:
        logger.error("headers %s", {"X-KEY": secret.reveal()})
        logger.error("%s %d", VALUE, 3)
        try:
            raise ValueError(f"bad key {VALUE}")
        except ValueError:
            logger.exception("it failed")
        logger.error("nothing hidden here, %s", "said it")
    text = stream.getvalue()
    assert VALUE not in text
    assert text.count("***") == 9
    assert text.count("Traceback") == 3
    assert text.count("nothing hidden here, said it") == 3


def test_a_record_whose_arguments_do_not_fit_is_left_to_its_handler(secret: Secret) -> None:
    record = logging.LogRecord("x", 40, "f", 1, "%d", ("no number",), None)
    hide(record)
    assert record.msg == "%d"


def test_credentials_come_from_the_environment() -> None:
    assert variable_of("BINANCE-001", "api_key") == "WORKBENCH_BINANCE_001_API_KEY"
    environ = {"WORKBENCH_A_1_API_KEY": VALUE, "WORKBENCH_A_2_API_KEY": "another one"}
    found = read_credentials("A-1", ["api_key"], ["passphrase"], environ, lambda *_: None)
    assert list(found) == ["api_key"]
    assert found["api_key"].reveal() == VALUE
    assert found.get("passphrase") is None
    with pytest.raises(CredentialsError, match="there are: api_key"):
        found["passphrase"]


def test_credentials_come_from_the_keyring_where_the_environment_has_none() -> None:
    kept = {("workbench", "A-1/api_key"): VALUE}
    found = read_credentials("A-1", ["api_key"], [], {}, lambda *asked: kept.get(asked))
    assert found["api_key"].reveal() == VALUE


def test_a_keyring_that_fails_has_nothing() -> None:
    def locked(service: str, user: str) -> str:
        raise RuntimeError("no backend")

    with pytest.raises(CredentialsError):
        read_credentials("A-1", ["api_key"], [], {}, locked)


def test_missing_credentials_are_named_with_where_they_belong() -> None:
    environ = {"WORKBENCH_A_1_API_KEY": VALUE}
    with pytest.raises(CredentialsError) as refused:
        read_credentials("A-1", ["api_key", "api_secret"], [], environ, lambda *_: None)
    said = str(refused.value)
    assert "WORKBENCH_A_1_API_SECRET" in said
    assert "A-1/api_secret" in said
    assert VALUE not in said


ODD = 'Zk9/+=" \\ and\nmore of it'
PEM = (
    "-----BEGIN KEY-----\nMIIBVQIBADANBgkqhkiG9w0BAQEFAASC\nAT8wggE7AgEAAkEAzz==\n-----END KEY-----"
)
SPELLINGS: list[Any] = [
    str,
    lambda v: quote(v, safe=""),
    repr,
    json.dumps,
    lambda v: v.encode().hex(),
    lambda v: v.encode().hex().upper(),
    lambda v: base64.b64encode(v.encode()).decode(),
    lambda v: base64.b64encode(f"user:{v}".encode()).decode(),
    lambda v: base64.b64encode(f"me:{v}:more".encode()).decode(),
    lambda v: base64.urlsafe_b64encode(f"{v}!".encode()).decode(),
]


@pytest.mark.parametrize("spell", SPELLINGS)
@pytest.mark.parametrize("value", [VALUE, ODD])
def test_however_it_is_spelled_it_is_cut_out(value: str, spell: Any) -> None:
    secret = Secret(value)
    text = f"before {spell(value)} after"
    clean = redact(text)
    assert clean.startswith("before ")
    assert clean.endswith(" after")
    assert "***" in clean
    left = clean.removeprefix("before ").removesuffix(" after").replace("***", "")
    assert len(left) <= 16  # what was not it: a quote, a user's name
    assert secret.reveal() == value


def test_each_line_of_a_key_of_many_lines_is_cut_out_but_not_what_every_key_begins_with() -> None:
    key = Secret(PEM)
    clean = redact("\n".join(f"| {line}" for line in PEM.splitlines()))
    assert clean.splitlines() == ["| -----BEGIN KEY-----", "| ***", "| ***", "| -----END KEY-----"]
    del key


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("GET /account?timestamp=1&signature=0123456789abcdef01&x=2", "signature=***&x=2"),
        ('{"signature": "0123456789abcdef01"}', '"signature": "***"}'),
        ("{'sign': b'0123456789abcdef01'}", "'sign': b'***'}"),
        ("the design: 0123456789abcdef01 is signed: soon", "0123456789abcdef01 is signed: soon"),
    ],
)
def test_signatures_are_cut_out_where_they_are_named(text: str, clean: str) -> None:
    assert redact(text).endswith(clean)


def test_nothing_that_can_be_looked_at_holds_what_is_known(secret: Secret) -> None:
    from workbench.venues import secrets

    assert redact(f"it is {VALUE}") == "it is ***"
    shown = repr(vars(secrets)) + repr(secrets._known._made) + repr(secrets._known._each)
    assert VALUE not in shown
    assert secret.reveal() not in str([getattr(secrets._known, n) for n in dir(secrets._known)])


def test_one_that_comes_later_is_cut_out_too_and_of_two_the_longer_one_whole() -> None:
    first = Secret("begins-alike")
    assert redact("begins-alike!") == "***!"
    second = Secret("begins-alike-and-goes-on")
    assert redact("begins-alike-and-goes-on, begins-alike") == "***, ***"
    del first, second


def test_a_secret_is_still_cut_out_when_nobody_has_it_any_more() -> None:
    found = read_credentials("A-1", ["api_key"], [], {"WORKBENCH_A_1_API_KEY": "gone-for-good-1"})
    del found
    assert redact("Task exception was never retrieved: gone-for-good-1").endswith(": ***")


def test_no_traceback_shows_the_environment_or_what_was_found_where_something_is_missing() -> None:
    environ = {"WORKBENCH_A_1_API_KEY": VALUE, "WORKBENCH_A_1_PASSPHRASE": "the-pass-phrase"}
    try:
        read_credentials("A-1", ["api_key", "api_secret"], ["passphrase"], environ, lambda *_: None)
    except CredentialsError as error:
        ours = error.__traceback__
        assert ours is not None
        ours = ours.tb_next  # the test's own frame has them
        told = traceback.TracebackException(type(error), error, ours, capture_locals=True)
        shown = "".join(told.format()) + VerboseTB().text(type(error), error, ours)
    assert "needs api_secret" in shown
    for value in environ.values():
        assert value not in shown


def test_an_error_that_tells_a_secret_is_replaced_by_one_that_says_the_same_without() -> None:
    held = Secret(VALUE)
    plain = ValueError("nothing to hide")
    assert without_secrets(plain) is plain
    by_text = without_secrets(ConnectionError(f"no answer to {VALUE}"))
    assert str(by_text) == "ConnectionError: no answer to ***"
    deep = ValueError("it failed")
    deep.__cause__ = KeyError("x")
    deep.__cause__.__context__ = ExceptionGroup("several", [OSError(VALUE)])
    shown = without_secrets(deep)
    assert str(shown) == "ValueError: it failed"
    assert shown.__cause__ is None
    assert shown.__context__ is None
    noted = ValueError("it failed")
    noted.add_note(f"for {VALUE}")
    assert without_secrets(noted) is not noted
    del held


def said(text: str) -> str:
    """Return what a new logger shows of a text."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("workbench_example.late")
    logger.addHandler(handler)
    try:
        logger.warning(text)
    finally:
        logger.removeHandler(handler)
    return stream.getvalue().strip()


def test_logs_stay_clean_with_two_accounts_and_when_logging_is_set_up_anew() -> None:
    environ = {"WORKBENCH_A_1_KEY": "first-key-here", "WORKBENCH_B_1_KEY": "other-key-here"}
    for account in ("A-1", "B-1"):
        read_credentials(account, ["key"], [], environ, lambda *_: None)
    ours = logging.getLogRecordFactory()
    redact_logs()
    assert logging.getLogRecordFactory() is ours  # there is one, however often it is asked for
    logging.config.dictConfig(
        {"version": 1, "disable_existing_loggers": False, "root": {"level": "WARNING"}}
    )
    assert said("first-key-here and other-key-here") == "*** and ***"


def test_a_factory_of_others_is_asked_and_one_that_takes_our_place_ours_is_put_on_top_of() -> None:
    logging.setLogRecordFactory(logging.LogRecord)
    redact_logs()
    assert Secret("third-key-here")

    class Marked(logging.LogRecord):
        pass

    logging.setLogRecordFactory(Marked)
    read_credentials("C-1", ["key"], [], {"WORKBENCH_C_1_KEY": "fourth-key-here"}, lambda *_: None)
    assert isinstance(logging.makeLogRecord({}), logging.LogRecord)
    assert isinstance(logging.getLogRecordFactory()("n", 30, "f", 1, "m", (), None), Marked)
    assert said("third-key-here, fourth-key-here") == "***, ***"


def test_importing_changes_nothing_about_logging() -> None:
    code = (
        "import logging, sys, workbench as wb, workbench_ccxt.brokerd; wb.venues();"
        " sys.exit(logging.getLogRecordFactory() is not logging.LogRecord)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
