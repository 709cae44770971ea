"""Routes: where an order goes that names no account, and which accounts need one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.node_fakes import PAIR
from workbench.model.identifiers import AccountId, StrategyId, Venue
from workbench.trading.routes import Route, Routes

VENUE = Venue(PAIR.venue)
REAL, PAPER, ME = AccountId("REAL-1"), AccountId("PAPER-1"), StrategyId("S-001")
CLIENTS = {"REAL": REAL, "PAPER": PAPER}


class _Order:
    """What routes look at of an order."""

    def __init__(self, *, strategy_id: str = ME, reduce_only: bool = False) -> None:
        self.strategy_id = strategy_id
        self.instrument_id = PAIR.id
        self.reduce_only = reduce_only


def found(
    routes: Routes, client_id: str | None = None, account: str | None = None, **order: Any
) -> Route:
    return routes.find((_Order(**order),), client_id, account)  # type: ignore[arg-type]


@pytest.fixture
def routes() -> Routes:
    return Routes(CLIENTS.get)


def test_without_routes_an_order_goes_where_it_says(routes: Routes) -> None:
    assert found(routes) == Route(None)
    assert found(routes, account=REAL) == Route(REAL)
    assert found(routes, client_id="REAL") == Route(None)


def test_a_route_takes_what_names_nothing(routes: Routes) -> None:
    routes.guarded.add(REAL)
    routes.set(ME, VENUE, REAL)
    assert found(routes) == Route(REAL)
    assert found(routes, account=PAPER) == Route(PAPER)
    assert found(routes, account=REAL) == Route(REAL)
    assert found(routes, client_id="REAL") == Route(None)
    assert found(routes, strategy_id="S-002") == Route(None)
    assert routes.account_of(ME, VENUE) == REAL
    routes.clear(ME, VENUE)
    assert found(routes) == Route(None)
    assert routes.account_of(ME, VENUE) is None


@pytest.mark.parametrize("named", [{"account": REAL}, {"client_id": "REAL"}])
def test_a_guarded_account_is_closed_to_others_but_for_what_reduces(
    routes: Routes, named: dict[str, str]
) -> None:
    routes.guarded.add(REAL)
    assert found(routes, **named).code == "NOT_PROMOTED"  # type: ignore[arg-type]
    assert found(routes, strategy_id="S-002", **named).code == "NOT_PROMOTED"  # type: ignore[arg-type]
    assert not found(routes, reduce_only=True, **named).code  # type: ignore[arg-type]
    routes.set(ME, VENUE, REAL)
    assert not found(routes, **named).code  # type: ignore[arg-type]


def test_a_refused_route_lets_what_reduces_pass(routes: Routes) -> None:
    routes.set(ME, VENUE, REAL)
    routes.refuse(ME, "STRATEGY_CHANGED", "it changed")
    assert found(routes) == Route(REAL, "STRATEGY_CHANGED", "it changed")
    assert found(routes, account=REAL).code == "STRATEGY_CHANGED"
    assert found(routes, reduce_only=True) == Route(REAL)
    routes.set(ME, VENUE, REAL)
    assert found(routes) == Route(REAL)
