"""The conformance suite: the contract, and connections that break."""

from __future__ import annotations

import subprocess
import sys

import pytest

from workbench.venues.connection import LinkState
from workbench.venues.contract import EndpointKind, check_endpoints
from workbench.venues.testing.session import VenueSession
from workbench.venues.testing.steps import try_out, until_data, until_reconnected
from workbench.venues.testing.trial import VenueTrial

_SECOND = 1_000_000_000


class ConnectionConformance:
    """Endpoints are as the tables say, and a connection that is lost is made again."""

    # The contract

    def test_endpoints_keep_the_contract(self, trial: VenueTrial) -> None:
        """Both endpoint classes are as the tables say."""
        for kind in EndpointKind:
            if getattr(trial.plugin, kind.value):
                check_endpoints(trial.plugin.name, kind, trial.plugin.endpoint_class(kind))

    def test_data_alone_imports_no_order_endpoints(self, trial: VenueTrial) -> None:
        """A session of market data only never imports what orders need."""
        data, _, name = trial.plugin.datad.partition(":")
        orders = trial.plugin.brokerd.partition(":")[0]
        if not orders or orders == data:
            pytest.skip("its two endpoint classes are in one module")
        code = f"import sys; from {data} import {name}; sys.exit({orders!r} in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

    # Connection

    def test_it_connects_and_disconnects_without_a_trace(self, trial: VenueTrial) -> None:
        """Both connections are up, the account is known, and no task is left behind."""

        async def test(session: VenueSession) -> None:
            assert session.data.link.state is LinkState.UP
            assert session.execution.link.state is LinkState.UP
            assert session.cache.account(trial.account_id) is not None

        try_out(trial, test)

    def test_its_clock_is_compared_with_ours(self, trial: VenueTrial) -> None:
        """The skew is measured at connect and later, to within a second."""

        async def test(session: VenueSession) -> None:
            links = session.data.link, session.execution.link
            told = [link for link in links if link.skew_ns is not None]
            if not told:
                pytest.skip("it does not tell its time")
            assert all(abs(link.skew_ns or 0) < _SECOND for link in told)
            await trial.skew_clock(30 * _SECOND)
            for link in told:
                await session.until(
                    lambda link=link: abs((link.skew_ns or 0) - 30 * _SECOND) < _SECOND,
                    "the skew is measured again",
                )

        try_out(trial, test)

    def test_a_broken_connection_is_made_again(self, trial: VenueTrial) -> None:
        """After a break both are up again, and data flows."""

        async def test(session: VenueSession) -> None:
            session.desk.subscribe_quotes(trial.instrument_id)
            await until_data(trial, session)
            await trial.break_connections()
            await until_reconnected(session)
            session.desk.data.clear()
            await until_data(trial, session)
            assert session.desk.gaps, "strategies are told of the gap"

        try_out(trial, test)

    def test_a_half_open_connection_is_noticed(self, trial: VenueTrial) -> None:
        """A connection on which nothing comes any more is taken for lost."""

        async def test(session: VenueSession) -> None:
            await trial.freeze(is_frozen=True)
            await session.until(lambda: session.data.link.reason, "the data client notices")
            await session.until(lambda: session.execution.link.reason, "the other one notices")
            await trial.freeze(is_frozen=False)
            await until_reconnected(session)

        try_out(trial, test)
