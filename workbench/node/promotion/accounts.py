"""The accounts that strategies of one node can be promoted to, and what their venues say."""

from __future__ import annotations

import asyncio

from workbench.engines.clients import ExecutionClient
from workbench.model.enums import OrderSide
from workbench.model.errors import ConfigError
from workbench.model.identifiers import AccountId
from workbench.model.positions import Position
from workbench.node.config import TradingNodeConfig
from workbench.node.journal import Lease
from workbench.node.journaling import Journaling
from workbench.node.promotion import points
from workbench.node.promotion.checklist import Check
from workbench.node.promotion.rules import PromotionRules
from workbench.node.reconciliation import Reconciliation, ReconciliationError
from workbench.node.session import Session
from workbench.trading.core import TradingCore
from workbench.trading.strategy import Strategy
from workbench.venues.execution_client import VenueExecutionClient
from workbench.venues.secrets import redact

_PAUSE_S = 0.005
_HANDLED_S = 5.0


class Accounts:
    """The real accounts of a node.

    Args:
        config: The node's settings.
        core: Its core.
        session: Its run.
        journaling: Its journal; None without one.
    """

    def __init__(
        self,
        config: TradingNodeConfig,
        core: TradingCore,
        session: Session,
        journaling: Journaling | None,
    ) -> None:
        self._timeout_s = config.timeout_reconciliation_s
        self._core = core
        self._session = session
        self._journaling = journaling

    def client(self, account_id: str) -> VenueExecutionClient | None:
        """Return the client of a real account, None if it has none here."""
        for client in self._core.execution.clients:
            if isinstance(client, VenueExecutionClient) and client.account_id == account_id:
                return client
        return None

    def chosen(self, account: object) -> VenueExecutionClient:
        """Return the client of the account that is meant, the only one to promote to by default.

        Raises:
            ConfigError: If there is none, or several.
        """
        guarded = sorted(self._core.routes.guarded)
        name = getattr(account, "account_id", account)
        if not guarded:
            raise ConfigError(
                "this node has no account to promote to; make it with wb.sandbox(...,"
                " account=wb.VenueAccount('ccxt', 'BINANCE-001', exchange='binance')): it is"
                " connected and reconciled from the start, and trades nothing until promotion"
            )
        if name is None and len(guarded) == 1:
            name = guarded[0]
        client = self.client(str(name)) if name in guarded else None
        if client is None:
            got = None if name is None else str(name)
            raise ConfigError(f"account is one of {', '.join(guarded)}; got {got!r}")
        return client

    def simulated_at(self, target: ExecutionClient) -> ExecutionClient:
        """Return the simulated client of the venue whose orders go there without a route.

        Raises:
            ConfigError: If there is none.
        """
        for client in self._core.execution.clients:
            if client.venue == target.venue and client.is_simulated:
                return client
        raise ConfigError(f"this node has no simulated account at {target.venue}")

    def lease(self, account_id: AccountId) -> Lease | None:
        """Return the lease of an account."""
        return None if self._journaling is None else self._journaling.port(account_id).lease

    async def checks(self, client: VenueExecutionClient, rules: PromotionRules) -> list[Check]:
        """Ask a venue, and return the points about the account."""
        permissions, refused = None, ""
        try:
            async with asyncio.timeout(self._timeout_s):
                permissions = await client.permissions()
        except TimeoutError:
            refused = "the venue did not answer in time"
        except Exception as error:
            refused = redact(f"{type(error).__name__}: {error}")
        differing = await self._differing(client)
        return [
            points.venue(client),
            points.clock_skew(client, rules),
            points.credentials(permissions, refused),
            points.reconciled(client, differing),
            points.lease(self.lease(client.account_id)),
        ]

    async def _differing(self, client: VenueExecutionClient) -> str:
        """Ask for what the venue holds, apply what is new, and return what still differs."""
        reconciliation = Reconciliation(self._core, [client])
        try:
            async with asyncio.timeout(self._timeout_s):
                await reconciliation.ask()
        except TimeoutError:
            return f"the venue did not say what it holds within {self._timeout_s:g} s"
        await self.handled()
        try:
            reconciliation.compare()
        except ReconciliationError as error:
            return str(error)
        return ""

    async def handled(self) -> None:
        """Return when what is on its way inside has been handled."""
        channels = self._core.dispatcher.channels
        loop = asyncio.get_running_loop()
        end_s = loop.time() + _HANDLED_S
        while channels.execution_events.queue or channels.trading_commands.queue:
            if loop.time() > end_s or self._session.faults:
                return
            await asyncio.sleep(_PAUSE_S)

    def check_position(self, strategy: Strategy, source: ExecutionClient) -> Check:
        """Return the point about what the strategy holds in the sandbox."""
        held = [
            position
            for position in self._core.cache.positions_open(strategy_id=strategy.component_id)
            if position.account_id == source.account_id
        ]
        return points.closable(held, source, [self._has_price(position) for position in held])

    def _has_price(self, position: Position) -> bool:
        side = OrderSide.SELL if position.signed_quantity > 0 else OrderSide.BUY
        return self._core.cache.price_to(position.instrument_id, side) is not None
