"""Secrets: every way a value could get out, and where credentials come from."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle
import traceback
from typing import Any

import msgspec
import pytest
from IPython.core.ultratb import VerboseTB

from workbench.venues import Credentials, CredentialsError, Secret, read_credentials, redact
from workbench.venues.secrets import hide, redact_logs, variable_of

VALUE = "sk-live-9f8e7d6c5b4a"


@pytest.fixture
def secret() -> Secret:
    return Secret(VALUE)


@pytest.fixture(autouse=True)
def as_before() -> Any:
    """Give logging its records back as they were."""
    make = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(make)


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
