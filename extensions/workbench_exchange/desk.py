"""Carries out what is asked, over whatever transport: checks, counts, executes, commits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from workbench_exchange.faults import Action, Faults
from workbench_exchange.gate import Gate, Quota
from workbench_exchange.hub import Hub
from workbench_exchange.operations import Operation, Request
from workbench_exchange.refusals import RefusalError
from workbench_exchange.venue import Venue

_LOSSES = frozenset({Action.REFUSE, Action.LOSE_REQUEST, Action.LOSE_REPLY})
_DELAYS = frozenset({Action.DELAY})


class LostError(Exception):
    """The connection is to be closed without an answer."""


class Desk:
    """What stands between the transports and the venue.

    Args:
        venue: What is traded.
        faults: What is to go wrong.
        now_ms: The exchange's time as clients see it.
    """

    def __init__(self, venue: Venue, faults: Faults, now_ms: Callable[[], int]) -> None:
        self.venue = venue
        self.hub = Hub(venue)
        self.gate = Gate(venue.keys, now_ms)
        self.faults = faults
        self._now_ms = now_ms
        self._quotas: dict[str, Quota] = {}

    def quota(self, api_key: str) -> Quota:
        """Return what a client has used; who sends no known key shares one with others."""
        name = self.venue.account_of_key.get(api_key, "")
        quota = self._quotas.get(name)
        if quota is None:
            quota = self._quotas[name] = Quota(self.venue.config.limits, self._now_ms)
        return quota

    def delay_of(self, name: str) -> float:
        """Return how many seconds an operation is to wait."""
        fault = self.faults.take(name, _DELAYS)
        return 0.0 if fault is None else fault.seconds

    def carry_out(
        self,
        operation: Operation,
        api_key: str,
        params: Mapping[str, str],
        payloads: Iterable[str],
    ) -> Any:
        """Return an operation's result. What it changed is committed, and told to who listens.

        Args:
            operation: What is asked.
            api_key: By whom; empty for nobody.
            params: Of the request.
            payloads: What may have been signed.

        Raises:
            RefusalError: If it is not carried out.
            LostError: If no answer is to be given.
        """
        fault = self.faults.take(operation.name, _LOSSES)
        action = None if fault is None else fault.action
        if action is Action.LOSE_REQUEST:
            raise LostError
        if action is Action.REFUSE:
            raise RefusalError(-1003, "Too many requests.", status=429, retry_after_s=1)
        try:
            result = self._execute(operation, api_key, params, payloads)
        except RefusalError:
            if action is Action.LOSE_REPLY:
                raise LostError from None
            raise
        if action is Action.LOSE_REPLY:
            raise LostError
        return result

    def _execute(
        self,
        operation: Operation,
        api_key: str,
        params: Mapping[str, str],
        payloads: Iterable[str],
    ) -> Any:
        quota = self.quota(api_key)
        quota.use(operation.weight)
        account = ""
        if operation.is_signed:
            account = self.gate.account_of(api_key)
            self.gate.check(account, params, payloads)
        if operation.is_order:
            quota.use_order()
        try:
            return operation.handler(Request(self.venue, account, params))
        finally:
            # A refusal too may have changed something: half of a cancel-replace does.
            self.venue.commit()
