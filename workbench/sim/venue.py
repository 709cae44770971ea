"""The simulated venue's settings: one object for backtest, replay and sandbox."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from workbench.engines.capabilities import ALL_CAPABILITIES, Capabilities
from workbench.engines.needs import holding_refusal
from workbench.model.enums import AccountType, OrderManagement, parse_enum
from workbench.model.errors import ConfigError
from workbench.model.identifiers import AccountId, Venue, parse_name
from workbench.model.instruments import Instrument, to_decimal
from workbench.model.money import Currency, Money, currency
from workbench.model.settings import SettingsMeta
from workbench.sim.fee_models import FeeModel, MakerTakerFeeModel
from workbench.sim.fill_models import FillModel
from workbench.sim.latency import LatencyModel
from workbench.sim.session import TradingSession


class FillOn(StrEnum):
    """At which price of which bar an order sent from `on_bar` takes liquidity."""

    CLOSE = "close"
    NEXT_OPEN = "next_open"


class BarPath(StrEnum):
    """In which order prices within a bar are taken to have come."""

    OHLC = "ohlc"
    ADAPTIVE = "adaptive"


class SimulatedVenue(
    msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True, metaclass=SettingsMeta
):
    """How a venue is simulated; plain values are taken and made exact.

    Attributes:
        name: The venue; by default that of the instruments.
        account_type: `"margin"` or `"cash"`.
        starting_balances: `"1_000_000 USD"`, a `Money`, or a list of them; by default 1,000,000 of
            the base currency, or else of the first instrument's settlement currency.
        base_currency: The one currency the account is kept in, or None for as many as there are.
            Profits and fees in others are converted at the middle prices of pairs that the data
            brings, or at rates fixed by a strategy's `portfolio.rates`; where none is known, an
            amount keeps its own currency.
        leverage: Divides margins.
        leverages: The same for single instruments, such as `{"ETH/USDT-PERP.SIM": 5}`.
        order_management: `"netting"`: one position per instrument and strategy; `"hedging"`: one
            per order, or as an order names it.
        maker_fee, taker_fee: Shares of notional; by default the instrument's own.
        fee_model: Any other way to charge: `FixedFeeModel`, `PerContractFeeModel`, ...
        fill_model: What orders find beyond the best price and the size shown.
        latency_ns: How long every command is on its way, nanoseconds.
        latency: The same by kind of command: `LatencyModel`.
        session: The venue's hours, for DAY, AT_THE_OPEN and AT_THE_CLOSE orders.
        rejects_reached_triggers: Reject a stop whose trigger is reached already when it comes, as
            some venues do; by default it is triggered at once.
        fill_on: `"close"`: an order sent from `on_bar` fills at that bar's close (with no latency);
            `"next_open"`: at the next bar's open. The same goes for a limit order that would take
            liquidity; any other rests at once.
        bar_path: `"ohlc"`, or `"adaptive"`: low before high when it is nearer to the open.
        trades_move_book: For trade data without quotes: take the last trade as bid and ask.
        round_money: Round each fill's money to the currency's digits.
        capabilities: What it can be given; by default everything. What it lacks of triggers,
            contingencies and reduce-only is kept on our side, an order that lacks anything else is
            denied.

    >>> SimulatedVenue(starting_balances="10_000 USDT", taker_fee="0.0004").taker_fee
    Decimal('0.0004')
    """

    name: Venue | None = None
    account_type: AccountType = AccountType.MARGIN
    starting_balances: Any = ()
    base_currency: Currency | None = None
    leverage: Decimal = Decimal(1)
    leverages: dict[str, Decimal] | None = None
    order_management: OrderManagement = OrderManagement.NETTING
    maker_fee: Decimal | None = None
    taker_fee: Decimal | None = None
    fee_model: FeeModel = FeeModel()
    fill_model: FillModel = FillModel()
    latency_ns: int = 0
    latency: LatencyModel = LatencyModel()
    session: TradingSession = TradingSession()
    rejects_reached_triggers: bool = False
    fill_on: FillOn = FillOn.CLOSE
    bar_path: BarPath = BarPath.OHLC
    trades_move_book: bool = False
    round_money: bool = False
    capabilities: Capabilities = ALL_CAPABILITIES

    def __post_init__(self) -> None:
        """Check every field and make it exact."""
        exact: dict[str, Any] = {
            "account_type": parse_enum(AccountType, self.account_type, "account_type"),
            "fill_on": parse_enum(FillOn, self.fill_on, "fill_on"),
            "bar_path": parse_enum(BarPath, self.bar_path, "bar_path"),
            "order_management": parse_enum(
                OrderManagement, self.order_management, "order_management"
            ),
            "starting_balances": tuple(_balances(self.starting_balances)),
            "leverage": to_decimal(self.leverage, "leverage"),
        }
        if self.name is not None:
            exact["name"] = Venue(parse_name(self.name, "the venue's name"))
        if self.base_currency is not None:
            exact["base_currency"] = currency(self.base_currency)
        for fee in ("maker_fee", "taker_fee"):
            if getattr(self, fee) is not None:
                exact[fee] = to_decimal(getattr(self, fee), fee)
        if self.leverages is not None:
            exact["leverages"] = _leverages(self.leverages)
        for field, value in exact.items():
            msgspec.structs.force_setattr(self, field, value)
        for leverage in (self.leverage, *(self.leverages or {}).values()):
            if leverage < 1:
                raise ConfigError(f"leverage must be 1 or more; got {leverage}")
        if type(self.latency_ns) is not int or self.latency_ns < 0:
            raise ConfigError(
                "latency_ns must be a whole number of nanoseconds, 0 or more;"
                f" got {self.latency_ns!r}"
            )
        self._choose_models()

    def _choose_models(self) -> None:
        """Make the models that `maker_fee`, `taker_fee` and `latency_ns` stand for."""
        for name, kind in _MODELS.items():
            if not isinstance(getattr(self, name), kind):
                raise ConfigError(
                    f"{name} must be a {kind.__name__}, or one of its kind;"
                    f" got {getattr(self, name)!r}"
                )
        if self.maker_fee is not None or self.taker_fee is not None:
            fees = MakerTakerFeeModel(maker=self.maker_fee, taker=self.taker_fee)
            self._choose("fee_model", FeeModel(), fees, "maker_fee and taker_fee")
        if self.latency_ns:
            latency = LatencyModel(base_ns=self.latency_ns)
            self._choose("latency", LatencyModel(), latency, "latency_ns")

    def _choose(self, name: str, default: object, short: object, what: str) -> None:
        if getattr(self, name) not in (default, short):
            raise ConfigError(f"pass {name} or {what}, not both")
        msgspec.structs.force_setattr(self, name, short)

    def for_instruments(self, instruments: list[Instrument]) -> SimulatedVenue:
        """Return these settings with the name and starting balance filled in.

        Raises:
            ConfigError: If no name is given and the instruments are of several venues, or if the
                account cannot hold one of them.
        """
        venues = sorted({instrument.venue for instrument in instruments})
        name = self.name
        if name is None:
            if len(venues) != 1:
                found = ", ".join(venues) or "none"
                raise ConfigError(
                    f"the instruments are of {len(venues)} venues ({found}); pass one"
                    " SimulatedVenue per venue, each with its name"
                )
            name = venues[0]
        mine = [instrument for instrument in instruments if instrument.venue == name]
        for instrument in mine:
            self.check_holds(instrument)
        balances = self.starting_balances
        if not balances:
            if not mine:
                raise ConfigError(
                    f"venue {name} has no instrument; the instruments are of:"
                    f" {', '.join(venues) or 'none'}"
                )
            unit = self.base_currency or mine[0].settlement_currency
            balances = (Money(Decimal(1_000_000), unit),)
        return msgspec.structs.replace(self, name=name, starting_balances=balances)

    def check_holds(self, instrument: Instrument) -> None:
        """Check that the account can hold an instrument.

        Raises:
            ConfigError: If the account is one of cash and it is a derivative, or a pair and the
                account is kept in one currency.
        """
        reason = holding_refusal(self.account_type, self.base_currency, instrument)
        if reason:
            raise ConfigError(reason)

    @property
    def account_id(self) -> AccountId:
        """Return the id of the venue's one account."""
        return AccountId(f"{self.name}-PAPER")


_MODELS: dict[str, type] = {
    "fee_model": FeeModel,
    "fill_model": FillModel,
    "latency": LatencyModel,
    "session": TradingSession,
    "capabilities": Capabilities,
}


def _leverages(given: dict[str, Decimal]) -> dict[str, Decimal]:
    if not isinstance(given, dict):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(
            f"leverages maps instrument ids to numbers, such as {{'ETH/USDT-PERP.SIM': 5}};"
            f" got {given!r}"
        )
    return {name: to_decimal(each, f"leverages[{name!r}]") for name, each in given.items()}


def _balances(given: Any) -> Iterable[Money]:
    if isinstance(given, (str, Money)):
        given = (given,)
    if not isinstance(given, (list, tuple)) or not all(
        isinstance(one, (str, Money))
        for one in given  # pyright: ignore[reportUnknownVariableType]
    ):
        raise ConfigError(
            f"starting_balances is '1_000_000 USD', a Money, or a list of them; got {given!r}"
        )
    return [Money.parse(one) for one in given]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
