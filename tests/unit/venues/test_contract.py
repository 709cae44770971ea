"""The contract's tables, the plug-in value, and finding what is installed."""

from __future__ import annotations

import sys
import types
from importlib.metadata import EntryPoint
from typing import Any

import pytest

import workbench as wb
from workbench.venues import (
    ENDPOINTS,
    EndpointKind,
    PluginError,
    RateLimit,
    VenueError,
    VenuePlugin,
    check_endpoints,
    unsupported,
    venues,
)
from workbench.venues.fake import FAKE, FakeBrokerd, FakeDatad


def with_method(base: type, name: str, method: Any) -> type:
    return type("Changed", (base,), {name: method})


def test_tables_hold_the_endpoints_of_the_architecture() -> None:
    datad, brokerd = ENDPOINTS[EndpointKind.DATAD], ENDPOINTS[EndpointKind.BROKERD]
    assert {name for name, row in datad.items() if row.is_required} == {
        *("connect", "disconnect", "load_instruments", "subscribe", "unsubscribe"),
    }
    assert {"request_history", "search_symbols"} < set(datad)
    assert {name for name, row in brokerd.items() if row.is_required} == {
        *("connect", "disconnect", "submit", "cancel"),
        *("order_status_reports", "fill_reports", "account_state"),
    }
    assert {"modify", "cancel_all", "position_reports"} < set(brokerd)
    for rows in ENDPOINTS.values():
        assert all(row.summary and row.returns for row in rows.values())


def test_endpoints_that_keep_the_contract_pass() -> None:
    assert check_endpoints("fake", EndpointKind.DATAD, FakeDatad) == frozenset()
    assert check_endpoints("fake", EndpointKind.BROKERD, FakeBrokerd) == frozenset()


async def no_parameters(self: Any) -> None: ...


async def more_parameters(self: Any, order: Any, account: Any) -> None: ...


async def optional_parameters(self: Any, order: Any, account: Any = None) -> None: ...


def not_async(self: Any, order: Any) -> None: ...


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (None, "submit is missing"),
        (3, "submit is no method but 3"),
        (not_async, "submit is not async"),
        (no_parameters, r"submit must take \(order\); it takes \(\)"),
        (more_parameters, r"submit must take \(order\)"),
    ],
)
def test_an_endpoint_that_does_not_keep_the_contract_is_named(method: Any, said: str) -> None:
    broken = with_method(FakeBrokerd, "submit", method)
    with pytest.raises(PluginError, match=said) as refused:
        check_endpoints("broken", EndpointKind.BROKERD, broken)
    assert "'broken'" in str(refused.value)


def test_more_parameters_with_defaults_are_no_harm() -> None:
    check_endpoints(
        "x", EndpointKind.BROKERD, with_method(FakeBrokerd, "submit", optional_parameters)
    )


def test_an_optional_endpoint_that_is_missing_is_listed_as_unsupported() -> None:
    lacking = with_method(FakeDatad, "request_history", None)
    assert check_endpoints("x", EndpointKind.DATAD, lacking) == {"request_history"}


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(PluginError, match=r"connect is missing.*cancel is missing"):
        check_endpoints("empty", EndpointKind.BROKERD, object())


def test_a_data_only_plugin_has_no_orders() -> None:
    plugin = VenuePlugin(name="x", datad="workbench.venues.fake:FakeDatad")
    assert "submit" in unsupported(plugin, EndpointKind.BROKERD)
    with pytest.raises(VenueError, match="has no brokerd"):
        plugin.endpoint_class(EndpointKind.BROKERD)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "x"}, "neither a datad nor a brokerd"),
        ({"name": "x", "datad": "module"}, "'module:class'"),
        ({"name": "x y", "datad": "m:c"}, "must start with a letter"),
        ({"name": "x", "datad": "m:c", "data_kinds": {"rumours"}}, "data_kinds must be one of"),
        ({"name": "x", "datad": "m:c", "bars": ("1-fortnight",)}, "bar aggregation"),
        ({"name": "x", "datad": "m:c", "wants": 1}, "has no field 'wants'"),
    ],
)
def test_a_plugin_value_is_checked(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(wb.ConfigError, match=said):
        VenuePlugin(**fields)


def test_a_rate_limit_allows_something() -> None:
    with pytest.raises(wb.ConfigError, match="at least 1"):
        RateLimit(count=0, interval_s=1)


def test_an_endpoint_module_that_cannot_be_imported_is_named() -> None:
    plugin = VenuePlugin(name="x", datad="no.such.module:Class")
    with pytest.raises(PluginError, match=r"no\.such\.module:Class, cannot be imported"):
        plugin.endpoint_class(EndpointKind.DATAD)


def test_what_an_extra_would_bring_is_told() -> None:
    plugin = VenuePlugin(name="x", datad="m:c", extra="x", requires=("no_such_package",))
    assert plugin.missing == ("no_such_package",)
    with pytest.raises(VenueError, match=r"pip install 'trading-workbench\[x\]'"):
        plugin.endpoint_class(EndpointKind.DATAD)
    table = venues(lambda: entries(x=plugin))
    assert "needs no_such_package" in repr(table)


def entries(**plugins: Any) -> list[EntryPoint]:
    """Return entry points that load these objects."""
    found: list[EntryPoint] = []
    for name, plugin in plugins.items():
        module = types.ModuleType(f"entry_{name}")
        module.PLUGIN = plugin  # pyright: ignore
        sys.modules[module.__name__] = module
        found.append(EntryPoint(name, f"{module.__name__}:PLUGIN", "workbench.venues"))
    return found


def test_a_broken_plugin_does_not_hide_the_others() -> None:
    missing = EntryPoint("gone", "no_such_module:PLUGIN", "workbench.venues")
    table = venues(lambda: [missing, *entries(fake=FAKE, other=3, misnamed=FAKE)])
    assert list(table) == ["fake"]
    assert table["fake"] is FAKE
    assert set(table.broken) == {"gone", "other", "misnamed"}
    with pytest.raises(PluginError, match="no_such_module"):
        table["gone"]
    with pytest.raises(VenueError, match="no venue plug-in 'nope'; installed: fake"):
        table["nope"]
    frame = table.to_frame()
    assert list(frame.index) == ["fake", "gone", "misnamed", "other"]
    assert frame.loc["fake", "state"] == "installed"
    assert "limit" in frame.loc["fake", "orders"]
    assert frame.loc["gone", "state"].startswith("broken")
    assert "<table>" in table._repr_html_()


def test_two_plugins_of_one_name_are_both_refused() -> None:
    other = VenuePlugin(name="fake", datad="m:c")
    first, second = entries(fake=FAKE), [EntryPoint("fake", "entry_2:PLUGIN", "workbench.venues")]
    module = types.ModuleType("entry_2")
    module.PLUGIN = other  # pyright: ignore
    sys.modules["entry_2"] = module
    table = venues(lambda: [*first, *second])
    assert "fake" not in table
    assert "two distributions" in table.broken["fake"]


def test_listing_imports_no_endpoints() -> None:
    plugin = VenuePlugin(name="x", datad="would_fail:A", brokerd="would_fail:B")
    assert "x" in repr(venues(lambda: entries(x=plugin)))
    assert "would_fail" not in sys.modules


def test_what_is_installed_is_a_table() -> None:
    assert isinstance(wb.venues().to_frame().index.name, str)


def test_options_are_checked_by_name() -> None:
    with pytest.raises(wb.ConfigError, match="has no option 'exchagne'; it has: fake"):
        FAKE.check_options(EndpointKind.DATAD, {"exchagne": "x"})
    with pytest.raises(wb.ConfigError, match="needs the option fake="):
        FAKE.check_options(EndpointKind.BROKERD, {})
