"""Who may ask, and how often: keys, signatures, timestamps, rate limits."""

from __future__ import annotations

import hashlib
import hmac
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote

from workbench_exchange.config import Limits
from workbench_exchange.refusals import RefusalError, illegal, missing
from workbench_exchange.reports import Payload
from workbench_exchange.store import Key

_AHEAD_MS = 1000
_WINDOW_MS = 5000
_LONGEST_WINDOW_MS = 60_000
_UNREAL_MS = 10**14  # a timestamp above it is in microseconds
MINUTE_MS, DAY_MS, TEN_S_MS = 60_000, 86_400_000, 10_000


def sign(secret: str, payload: str) -> str:
    """Return the signature of a payload: its HMAC-SHA256 in hexadecimal digits."""
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def socket_payloads(params: Mapping[str, str]) -> list[str]:
    """Return what a socket's request may have signed: its parameters in order, plain or quoted."""
    pairs = sorted((name, value) for name, value in params.items() if name != "signature")
    plain = "&".join(f"{name}={value}" for name, value in pairs)
    quoted = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)
    return [plain] if plain == quoted else [plain, quoted]


class Gate:
    """Checks keys and signatures.

    Args:
        keys: By account.
        now_ms: The exchange's time.
    """

    def __init__(self, keys: Mapping[str, Key], now_ms: Callable[[], int]) -> None:
        self._keys = keys
        self._accounts = {key.api_key: name for name, key in keys.items()}
        self._now_ms = now_ms

    def account_of(self, api_key: str) -> str:
        """Return whose key it is.

        Raises:
            RefusalError: If it is nobody's.
        """
        if not api_key:
            raise RefusalError(-2014, "API-key format invalid.", status=401)
        account = self._accounts.get(api_key)
        if account is None:
            raise RefusalError(-2015, "Invalid API-key, IP, or permissions for action.", status=401)
        return account

    def check(self, account: str, params: Mapping[str, str], payloads: Iterable[str]) -> None:
        """Check a signed request.

        Args:
            account: Whose key came with it.
            params: Of the request, with `timestamp` and `signature`.
            payloads: What may have been signed.

        Raises:
            RefusalError: If the signature or the time is wrong.
        """
        given = params.get("signature", "")
        if not given:
            raise missing("signature")
        self._check_time(params)
        secret = self._keys[account].api_secret
        if not any(hmac.compare_digest(sign(secret, one), given.lower()) for one in payloads):
            raise RefusalError(-1022, "Signature for this request is not valid.")

    def _check_time(self, params: Mapping[str, str]) -> None:
        stamp, window = params.get("timestamp", ""), params.get("recvWindow", "") or _WINDOW_MS
        if not stamp:
            raise missing("timestamp")
        if not stamp.isdecimal():
            raise illegal("timestamp")
        at_ms, now = int(stamp), self._now_ms()
        if at_ms > _UNREAL_MS:
            at_ms //= 1000
        try:
            window_ms = float(window)
        except ValueError:
            raise illegal("recvWindow") from None
        if not 0 <= window_ms <= _LONGEST_WINDOW_MS:
            raise RefusalError(-1131, "recvWindow must be less than 60000.")
        if at_ms >= now + _AHEAD_MS:
            raise RefusalError(
                -1021, "Timestamp for this request was 1000ms ahead of the server's time."
            )
        if now - at_ms > window_ms:
            raise RefusalError(-1021, "Timestamp for this request is outside of the recvWindow.")


class _Window:
    """A sum over fixed intervals of time."""

    def __init__(self, length_ms: int) -> None:
        self._length_ms = length_ms
        self._index = -1
        self.used = 0

    def add(self, amount: int, now_ms: int) -> int:
        """Add to the interval that the time lies in; return its sum."""
        index = now_ms // self._length_ms
        if index != self._index:
            self._index, self.used = index, 0
        self.used += amount
        return self.used

    def rest_s(self, now_ms: int) -> int:
        """Return how long the interval still lasts, in whole seconds."""
        return -(-(self._length_ms - now_ms % self._length_ms) // 1000)


class Quota:
    """What one client has used.

    Args:
        limits: How much it may use.
        now_ms: The exchange's time.
    """

    def __init__(self, limits: Limits, now_ms: Callable[[], int]) -> None:
        self._limits = limits
        self._now_ms = now_ms
        self._weight = _Window(MINUTE_MS)
        self._fast = _Window(TEN_S_MS)
        self._daily = _Window(DAY_MS)

    def use(self, weight: int) -> None:
        """Count a request.

        Raises:
            RefusalError: If it is one too many.
        """
        now = self._now_ms()
        if self._weight.add(weight, now) > self._limits.weight_per_minute:
            raise RefusalError(
                -1003,
                f"Too much request weight used; current limit is"
                f" {self._limits.weight_per_minute} request weight per 1 MINUTE.",
                status=429,
                retry_after_s=self._weight.rest_s(now),
            )

    def use_order(self) -> None:
        """Count a new order.

        Raises:
            RefusalError: If it is one too many.
        """
        now = self._now_ms()
        limits = self._limits
        for window, limit, words in (
            (self._fast, limits.orders_per_10_s, f"{limits.orders_per_10_s} orders per 10 SECOND"),
            (self._daily, limits.orders_per_day, f"{limits.orders_per_day} orders per 1 DAY"),
        ):
            if window.add(1, now) > limit:
                raise RefusalError(
                    -1015,
                    f"Too many new orders; current limit is {words}.",
                    status=429,
                    retry_after_s=window.rest_s(now),
                )

    def headers(self) -> dict[str, str]:
        """Return what was used, as headers of a reply."""
        return {
            "X-MBX-USED-WEIGHT": str(self._weight.used),
            "X-MBX-USED-WEIGHT-1M": str(self._weight.used),
            "X-MBX-ORDER-COUNT-10S": str(self._fast.used),
            "X-MBX-ORDER-COUNT-1D": str(self._daily.used),
        }

    def lines(self, limits: Iterable[Payload]) -> list[Payload]:
        """Return what was used, as a socket's replies tell it."""
        counts = deque((self._weight.used, self._fast.used, self._daily.used))
        return [limit | {"count": counts.popleft()} for limit in limits]
