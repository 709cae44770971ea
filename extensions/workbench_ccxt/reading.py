"""What the account's messages mean: ccxt's values as reports, under the ids that are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workbench.model.identifiers import AccountId, ClientOrderId
from workbench.model.reports import FillReport, OrderStatusReport
from workbench_ccxt import orders as translated
from workbench_ccxt.client_ids import ClientIds
from workbench_ccxt.legs import base_of
from workbench_ccxt.orders import Terms

_REMEMBERED = 20_000


class Reader:
    """Turns orders and fills of ccxt into reports.

    Args:
        ids: Our ids as the exchange has them.
        account_id: The account.
        venue: In instrument ids.
        clock_ns: The node's time.

    Attributes:
        known: The terms of the orders that were sent from here.
    """

    def __init__(
        self, ids: ClientIds, account_id: AccountId, venue: str, clock_ns: Callable[[], int]
    ) -> None:
        self.ids = ids
        self.known: dict[ClientOrderId, Terms] = {}
        self._account_id = account_id
        self._venue = venue
        self._clock_ns = clock_ns
        self._names: dict[tuple[str, str], ClientOrderId] = {}

    def begin(self, terms: Terms) -> None:
        """Take note of an order, or a leg of one, that is about to be sent."""
        _remember(self.known, terms.client_order_id, terms)

    def symbols(self) -> list[str]:
        """Return the symbols of the orders that came by."""
        return sorted({symbol for symbol, _ in self._names})

    def status(self, raw: Mapping[str, Any], ours: Terms | None = None) -> OrderStatusReport:
        """Return an order of ccxt as a report, under the id that it has at the exchange."""
        name = self.ids.incoming(raw.get("clientOrderId"))
        if name is None:
            name = self._names.get((str(raw.get("symbol")), str(raw.get("id"))))
        if name is None and ours is not None:
            name = ours.client_order_id
        if ours is None and name is not None:
            ours = self.known.get(name)
        report = translated.status_report(
            raw, ours, name, self._account_id, self._venue, self._clock_ns()
        )
        if name is not None:
            _remember(self._names, (raw["symbol"], str(raw["id"])), name)
        return report

    def fill(self, raw: Mapping[str, Any]) -> FillReport:
        """Return a trade of the account as a report; its order has our id where that is known."""
        name = self._names.get((str(raw.get("symbol")), str(raw.get("order"))))
        if name is not None:
            name = base_of(name)[0]
        return translated.fill_report(raw, name, self._account_id, self._venue, self._clock_ns())


def filled_in(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an answer says, without what it leaves open."""
    return {name: value for name, value in raw.items() if value is not None}


def _remember(table: dict[Any, Any], key: Any, value: Any) -> None:
    """Keep something, and no more than so much."""
    table[key] = value
    if len(table) > _REMEMBERED:
        for old in list(table)[: _REMEMBERED // 4]:
            del table[old]
