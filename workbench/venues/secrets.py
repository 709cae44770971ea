"""Secrets: values that show as `***` wherever they are looked at, and where accounts keep theirs.

Credentials come from the environment, as `WORKBENCH_<ACCOUNT>_<NAME>`, or from the system's keyring
(service `workbench`, user `<ACCOUNT>/<name>`), never from an argument: what is typed into a
notebook is stored with it. Account `BINANCE-001` has its `api_key` in
`WORKBENCH_BINANCE_001_API_KEY`.

What was read is cut out of every log record from then on, to the end of the process: a task or
socket that is collected late still logs its error. For that the process-wide factory of log records
is replaced by one that asks the one there was; whoever replaces it later asks ours, or it is put in
place again when credentials are read next. `redact` does the same to a text.
"""

from __future__ import annotations

import base64
import importlib
import json
import logging
import os
import re
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NoReturn, cast
from urllib.parse import quote

from workbench.venues.errors import CredentialsError, VenueError

HIDDEN = "***"
"""What is shown in a secret's place."""

_SERVICE = "workbench"
_LEAST = 6  # a shorter one would be cut out of innocent words
_LEAST_LINE = 16
_SIGNED = re.compile(
    r"(?<![a-z])(?P<name>(?:signature|sign|sig)[\"']?\s*[=:]\s*[b\"']{0,2})[a-z0-9%+/=_-]{16,}",
    re.I,
)


class _Known:
    """How secrets are spelled, and how that is cut out of texts; a look at it shows none.

    Nothing here is a plain variable that holds one: a traceback may show every variable.
    """

    __slots__ = ("_each", "_lock", "_made")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._each: Callable[[], Iterator[str]] = ().__iter__
        # What cuts them out, and what it was made for: made when a text first needs it.
        self._made: tuple[Callable[[], Iterator[str]], Callable[[str], str]] | None = None

    def add(self, value: str) -> None:
        """Cut a value out of texts from now on."""
        with self._lock:
            new = {*_spellings(value)}.difference(self._each())
            if new:
                self._each = (*self._each(), *new).__iter__

    def cut(self, text: str) -> str:
        """Return a text that holds some without them; where two begin, the longer one is cut."""
        made, each = self._made, self._each
        if made is None or made[0] is not each:
            longest_first = sorted(each(), key=len, reverse=True)
            pattern = re.compile("|".join(map(re.escape, longest_first)))
            made = self._made = each, partial(pattern.sub, HIDDEN)
        return made[1](text)

    def is_in(self, text: str) -> bool:
        """Return whether a text holds one."""
        return any(map(text.__contains__, self._each()))


def _spellings(value: str) -> Iterator[str]:
    """Yield how a value may stand in a text: as it is, quoted, escaped, encoded, line by line."""
    found = [value, quote(value, safe=""), repr(value)[1:-1], json.dumps(value)[1:-1]]
    data = value.encode()
    found += [data.hex(), data.hex().upper()]
    for shift in range(3):
        # Wherever it begins among the bytes; what depends on its neighbours is left out.
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * shift + data).rstrip(b"=").decode()
            found.append(text[0 if not shift else shift + 1 : -1])
    lines = [line for line in value.splitlines() if not line.startswith("-----")]
    found += [line for line in lines if len(line) >= _LEAST_LINE]
    return (one for one in found if len(value) >= _LEAST <= len(one))


_known = _Known()


class Secret:
    """A text that only `reveal` shows: not repr, format, copies, pickles, JSON or tracebacks.

    Keep what `reveal` returns out of variables: a traceback that shows locals would show it.

    >>> key = Secret("open sesame")
    >>> key, f"{key}", f"{key:>5}", str([key])
    (***, '***', '  ***', '[***]')
    >>> key.reveal()
    'open sesame'
    """

    # Not the value but a function: whatever goes through attributes finds no text.
    __slots__ = ("__weakref__", "_reveal")

    def __init__(self, value: str) -> None:
        self._reveal: Callable[[], str] = lambda: value
        _known.add(value)

    def reveal(self) -> str:
        """Return the value.

        Raises:
            CredentialsError: If this came out of a pickle, which holds no value.
        """
        return self._reveal()

    def __repr__(self) -> str:
        """Return `***`."""
        return HIDDEN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        """Return `***`, formatted."""
        return format(HIDDEN, spec)

    def __copy__(self) -> Secret:
        """Return itself."""
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        """Return itself."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave the value out of pickles."""
        return _lost, ()


def _lost() -> Secret:
    secret = Secret("")
    secret._reveal = _refuse  # pyright: ignore[reportPrivateUsage]
    return secret


def _refuse() -> NoReturn:
    raise CredentialsError(
        "this secret came out of a pickle or from another process, which never hold its value;"
        " read the credentials anew where they are used"
    )


class Credentials(Mapping[str, Secret]):
    """What an account is opened with, by name.

    >>> Credentials({"api_key": Secret("open sesame")})
    Credentials(api_key=***)
    """

    def __init__(self, secrets: Mapping[str, Secret] | None = None) -> None:
        self._secrets = dict(secrets or {})

    def __getitem__(self, name: str) -> Secret:
        """Return one of them.

        Raises:
            CredentialsError: If there is none of this name.
        """
        found = self._secrets.get(name)
        if found is None:
            known = ", ".join(self._secrets) or "none"
            raise CredentialsError(f"no credential {name!r} was read; there are: {known}")
        return found

    def __contains__(self, name: object) -> bool:
        """Return whether there is one of this name."""
        return name in self._secrets

    def get(self, name: str, default: Any = None) -> Any:
        """Return one of them, or the default."""
        return self._secrets.get(name, default)

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self._secrets)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._secrets)

    def __repr__(self) -> str:
        """Return the names."""
        return f"Credentials({', '.join(f'{name}={HIDDEN}' for name in self._secrets)})"


def variable_of(account: str, name: str) -> str:
    """Return the environment variable of an account's credential.

    >>> variable_of("BINANCE-001", "api_key")
    'WORKBENCH_BINANCE_001_API_KEY'
    """
    return re.sub(r"[^A-Z0-9]", "_", f"WORKBENCH_{account}_{name}".upper())


KeyringLookup = Callable[[str, str], str | None]
"""Returns what the keyring has for a service and a user."""


def read_credentials(
    account: str,
    names: Iterable[str],
    optional: Iterable[str],
    environ: Mapping[str, str] | None = None,
    lookup: KeyringLookup | None = None,
) -> Credentials:
    """Read an account's credentials; from then on no log record shows them.

    Args:
        account: Whose.
        names: Which are needed.
        optional: Which are taken where they are there.
        environ: The environment, asked first; by default the process's.
        lookup: The keyring; by default that of the package `keyring`, where it is installed.

    Raises:
        CredentialsError: Naming what is missing, and where it was looked for.
    """
    read = _reader(account, environ, lookup)
    del environ, lookup  # a traceback that shows variables would show them
    needed = list(names)
    each = {name: read(name) for name in [*needed, *optional]}
    found = {name: secret for name, secret in each.items() if secret is not None}
    missing = [name for name in needed if name not in found]
    if missing:
        variables = ", ".join(variable_of(account, name) for name in missing)
        users = ", ".join(f"{account}/{name}" for name in missing)
        raise CredentialsError(
            f"account {account} needs {', '.join(missing)}: set {variables} in the environment of"
            f" the kernel, or store {users} in the keyring (service {_SERVICE!r})"
        )
    if found:
        redact_logs()
    return Credentials(found)


def _reader(
    account: str, environ: Mapping[str, str] | None, lookup: KeyringLookup | None
) -> Callable[[str], Secret | None]:
    """Return what reads one credential; None where there is none."""
    in_keyring = keyring_lookup() if lookup is None else lookup

    def in_environment(variable: str) -> str | None:
        return (os.environ if environ is None else environ).get(variable)

    def read(name: str) -> Secret | None:
        kept = in_environment(variable_of(account, name)) or _ask(in_keyring, account, name)
        return Secret(kept.strip()) if kept else None

    return read


def keyring_lookup() -> KeyringLookup | None:
    """Return how the system's keyring is asked, None where `keyring` is not installed."""
    try:
        return cast("KeyringLookup", importlib.import_module("keyring").get_password)
    except ImportError:
        return None


def _ask(lookup: KeyringLookup | None, account: str, name: str) -> str | None:
    if lookup is None:
        return None
    try:
        return lookup(_SERVICE, f"{account}/{name}")
    except Exception:
        return None  # a keyring without a backend, or one that is locked, has nothing


def redact(text: str) -> str:
    """Return a text with every known secret in it, however it is spelled, as `***`.

    Signatures that were made with one are cut out too, where their name stands before them.
    """
    if _known.is_in(text):
        text = _known.cut(text)
    if "sig" in text or "Sig" in text or "SIG" in text:
        text = _SIGNED.sub(rf"\g<name>{HIDDEN}", text)
    return text


def without_secrets(error: Exception) -> Exception:
    """Return an error that can be shown: itself, unless it or what led to it tells a secret.

    Then one that says the same without it, and leads nowhere.
    """
    for one in _led_to(error):
        shown = "".join(traceback.format_exception_only(one)) + repr(one)
        if redact(shown) != shown:
            return VenueError(redact(f"{type(error).__name__}: {error}"))
    return error


def _led_to(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, its causes, what it came up in, and theirs, each once."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += cast("BaseExceptionGroup[BaseException]", one).exceptions


def redact_logs() -> None:
    """Cut known secrets out of log records from now on, whoever writes them.

    Plug-ins' libraries log requests with their headers: so all records are looked at, not only
    those of workbench. A filter would miss the loggers below the one it is put on.
    """
    make = logging.getLogRecordFactory()
    if not getattr(make, "redacts", False):
        logging.setLogRecordFactory(_redacting(make))


def _redacting(make: Callable[..., logging.LogRecord]) -> Callable[..., logging.LogRecord]:
    def made(*arguments: Any, **more: Any) -> logging.LogRecord:
        record = make(*arguments, **more)
        hide(record)
        return record

    made.redacts = True  # pyright: ignore[reportFunctionMemberAccess]
    return made


def hide(record: logging.LogRecord) -> None:
    """Cut known secrets out of a log record and its traceback."""
    try:
        text = record.getMessage()
    except Exception:
        return  # its arguments do not fit; the handler tells that
    clean = redact(text)
    if clean != text:
        record.msg, record.args = clean, ()
    if record.exc_info and record.exc_info[1] is not None:
        plain = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        clean = redact(plain)
        if clean != plain:
            # What is printed in place of `exc_info`, which no handler may look at any more.
            record.exc_text, record.exc_info = clean, None
