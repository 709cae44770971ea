"""Options of the plug-in for ccxt, and that nothing heavy is imported for them."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest
from workbench_ccxt import PLUGIN, Place
from workbench_ccxt.brokerd import CcxtBrokerd
from workbench_ccxt.client_ids import ClientIds
from workbench_ccxt.datad import CcxtDatad
from workbench_ccxt.plugin import AMENDING, EXPIRIES_S, RATE_LIMITS

from workbench.engines.clients import DataClient
from workbench.model.errors import ConfigError
from workbench.model.identifiers import AccountId, ClientOrderId, ClientOrderIds, run_tag
from workbench.venues import (
    BrokerContext,
    Credentials,
    DataContext,
    EndpointKind,
    NotSentError,
    RateLimit,
    VenueDataClient,
    check_endpoints,
)


def brokerd(**options: Any) -> CcxtBrokerd:
    context = BrokerContext(lambda: 0, AccountId("A-1"), Credentials())
    return CcxtBrokerd(context, **{"exchange": "binance", **options})


def test_importing_the_plug_in_and_making_its_endpoints_imports_no_ccxt() -> None:
    code = (
        "import sys, workbench_ccxt; from workbench_ccxt.brokerd import CcxtBrokerd;"
        "from workbench_ccxt.datad import CcxtDatad;"
        "sys.exit(any(name.split('.')[0] in ('ccxt', 'aiohttp') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_both_endpoint_classes_keep_the_contract() -> None:
    assert not check_endpoints("ccxt", EndpointKind.DATAD, CcxtDatad)
    assert not check_endpoints("ccxt", EndpointKind.BROKERD, CcxtBrokerd)


def test_a_spot_venue_has_no_positions_that_could_be_flat() -> None:
    spot, swap = brokerd(), brokerd(market="swap")
    assert check_endpoints("ccxt", EndpointKind.BROKERD, spot) == {"position_reports"}
    assert not check_endpoints("ccxt", EndpointKind.BROKERD, swap)
    assert (spot.capabilities.reduce_only, swap.capabilities.reduce_only) == (False, True)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"exchange": ""}, "exchange"),
        ({"exchange": "binance", "market": "spots"}, "market must be one of spot"),
        ({"exchange": "kraken", "base_url": "https://example.org"}, "pass urls="),
        ({"exchange": "binance", "market": "swap", "base_url": "https://x.org"}, "pass urls="),
        ({"exchange": "binance", "base_url": "http://example.org"}, "https://"),
        ({"exchange": "kraken", "urls": {"public": ["ftp://example.org"]}}, "https://"),
        ({"exchange": "binance", "sandbox": True, "base_url": "https://x.org"}, "not both"),
        ({"exchange": "binance", "options": {"apiKey": "k"}}, "no secret"),
        ({"exchange": "binance", "options": {"secret": "s"}}, "no secret"),
        ({"exchange": "binance", "options": {"privateKey": "s"}}, "no secret"),
        ({"exchange": "binance", "sandbax": True}, "sandbax"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Place(**options)


def test_the_options_are_those_of_both_endpoint_classes() -> None:
    fields = set(Place.__struct_fields__)
    assert set(inspect.signature(CcxtDatad).parameters) == fields | {"context"}
    assert set(inspect.signature(CcxtBrokerd).parameters) == fields | {"context", "rate_limits"}
    place = brokerd(options={"x": 1}).place
    assert place.venue == "BINANCE"
    assert place.ccxt_options["x"] == 1
    assert place.ccxt_options["maxRetriesOnFailure"] == 0


def test_a_server_of_binances_protocol_is_found_from_one_address() -> None:
    urls = Place(exchange="binance", base_url="http://127.0.0.1:80/").api_urls
    assert urls["private"] == "http://127.0.0.1:80/api/v3"
    assert urls["ws"]["spot"] == "ws://127.0.0.1:80/ws"
    assert urls["ws"]["ws-api"]["spot"] == "ws://127.0.0.1:80/ws-api/v3"


def test_ids_of_a_live_node_fit_and_are_never_shortened() -> None:
    ids = ClientOrderIds(run_tag(1_795_000_000_123_456_789, "TRADER-001"), "1")
    made = [ids.next() for _ in range(3)]
    for exchange in ("binance", "okx"):
        wire = ClientIds(exchange)
        assert [wire.incoming(wire.outgoing(name)) for name in made] == made
    assert ClientIds("okx").outgoing(made[0]).isalnum()


def test_an_id_that_would_not_come_back_as_it_left_is_refused() -> None:
    for exchange, name in (("binance", "O-" + "1" * 36), ("binance", "O 1"), ("okx", "O-Z-1")):
        with pytest.raises(NotSentError, match="takes client order ids"):
            ClientIds(exchange).outgoing(ClientOrderId(name))


def test_rates_are_the_exchanges_or_the_users() -> None:
    assert brokerd().rate_limits == RATE_LIMITS["binance"]
    assert brokerd(exchange="gemini").rate_limits == PLUGIN.rate_limits
    mine = RateLimit(count=1, interval_s=2.0)
    assert brokerd(rate_limits=[mine]).rate_limits == (mine,)
    assert brokerd().submit_expiry_s == EXPIRIES_S["binance"]
    assert brokerd(exchange="gemini").submit_expiry_s is None
    assert "binance" not in AMENDING


def test_a_node_can_be_given_the_data_endpoints_before_they_connect() -> None:
    from workbench.runtime.clock import LiveClock

    datad = CcxtDatad(DataContext(lambda: 0), exchange="kraken")
    client = VenueDataClient(PLUGIN, datad, LiveClock(lambda _: None), lambda _: None)
    assert isinstance(client, DataClient)
    assert (datad.venue, client.unsupported) == ("KRAKEN", frozenset())
