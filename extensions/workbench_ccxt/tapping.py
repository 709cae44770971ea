"""Taking each message as ccxt parses it, past its caches and its wake-ups.

A watcher of ccxt returns what is new in a cache when its task wakes: what came between two wake-ups
is merged or, beyond the cache's size, lost. But every exchange puts each parsed trade, fill and
order into such a cache, one by one. So ours stand in their place, keep nothing, and pass each on.
"""

# The base class is known when it runs only:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workbench_ccxt import failures


class Tap(list[Any]):
    """A cache that keeps nothing and passes on what is put into it.

    Args:
        take: Takes it.
    """

    def __init__(self, take: Callable[[Any], None]) -> None:
        super().__init__()
        self.hashmap: dict[str, dict[str, Any]] = {}
        self._take = take

    def append(self, item: Any) -> None:
        """Pass it on."""
        self._take(item)

    def getLimit(self, symbol: Any, limit: Any) -> Any:  # noqa: N802, ARG002  # ccxt's name
        """Return what ccxt asks a cache for."""
        return limit

    get_limit = getLimit


class TapTable(dict[str, Any]):
    """A table by symbol that passes on what is put into it.

    Args:
        take: Takes a symbol and what is put under it.
    """

    def __init__(self, take: Callable[[str, Any], None]) -> None:
        super().__init__()
        self._take = take

    def __setitem__(self, symbol: str, value: Any) -> None:
        super().__setitem__(symbol, value)
        self._take(symbol, value)


class Listener:
    """What a tapped exchange tells.

    Attributes:
        on_frame: Told of every frame of a socket.
        on_unread: Told that a frame could not be read, and why.
        on_broken: Told that a socket is broken, and why.
    """

    def __init__(
        self,
        on_frame: Callable[[Any], None],
        on_unread: Callable[[str], None],
        on_broken: Callable[[str], None],
    ) -> None:
        self.on_frame = on_frame
        self.on_unread = on_unread
        self.on_broken = on_broken


class _Hidden:
    """An attribute that only who asks for it by name sees: not `vars`, nor a list of variables."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._kept = f"_hidden_{name}"

    def __get__(self, instance: Any, owner: type) -> Any:
        return vars(instance).get(self._kept, str)() if instance is not None else ""

    def __set__(self, instance: Any, value: Any) -> None:
        vars(instance)[self._kept] = lambda: value


class _Dropped:
    """An attribute that keeps nothing: headers and addresses of requests that were signed."""

    def __get__(self, instance: Any, owner: type) -> None:
        return None

    def __set__(self, instance: Any, value: Any) -> None:
        return None


def tapped(exchange_class: Any, listener: Listener) -> Any:
    """Return a class of an exchange that cannot lose a stream in silence."""
    base: Any = exchange_class

    class Tapped(base):
        """An exchange whose sockets are listened to, and that shows and keeps no secret."""

        apiKey = _Hidden()  # noqa: N815
        secret = _Hidden()
        password = _Hidden()
        uid = _Hidden()
        last_request_headers = _Dropped()
        last_request_body = _Dropped()
        last_request_url = _Dropped()

        def __reduce_ex__(self, _: Any) -> Any:
            raise TypeError(f"a connection to {self.id} cannot be pickled or copied")

        def client(self, url: str) -> Any:
            is_new = url not in (self.clients or {})
            client = super().client(url)
            if is_new:
                _guard(client, listener)
            return client

        def on_error(self, client: Any, error: Any) -> None:
            super().on_error(client, error)
            listener.on_broken(f"{type(error).__name__}: {error}")

        def on_close(self, client: Any, error: Any) -> None:
            super().on_close(client, error)
            listener.on_broken(f"the exchange closed the connection ({error})")

        def handle_errors(self, code: Any, *more: Any, **named: Any) -> Any:
            try:
                return super().handle_errors(code, *more, **named)
            except Exception as error:
                _note(error, code, more)
                raise

        def handle_http_status_code(self, code: Any, *more: Any) -> Any:
            try:
                return super().handle_http_status_code(code, *more)
            except Exception as error:
                _note(error, code, ())
                raise

    Tapped.__name__ = exchange_class.__name__
    return Tapped


def _note(error: Exception, code: Any, arguments: tuple[Any, ...]) -> None:
    """Note the status, and how long to wait, with an exception."""
    setattr(error, failures.STATUS, code)
    seconds = failures.retry_after(arguments[3]) if len(arguments) > 3 else None
    if seconds is not None:
        error.retry_after_s = seconds  # pyright: ignore[reportAttributeAccessIssue]


def _guard(client: Any, listener: Listener) -> None:
    """Keep one bad frame from ending a socket's receive loop."""
    handle = client.handle_message

    def guarded(message: Any) -> None:
        listener.on_frame(client)
        try:
            handle(message)
        except Exception as error:
            listener.on_unread(f"{type(error).__name__}: {error}")

    client.handle_message = guarded
