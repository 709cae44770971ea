"""The latency model: how long commands are on their way to a simulated venue."""

from __future__ import annotations

import msgspec

from workbench.model.commands import ModifyOrder, SubmitOrder, SubmitOrderList, TradingCommand
from workbench.model.errors import ConfigError
from workbench.model.settings import SettingsMeta


class LatencyModel(msgspec.Struct, frozen=True, kw_only=True, metaclass=SettingsMeta):
    """A base delay and what each kind of command adds to it, nanoseconds.

    Attributes:
        base_ns: Of every command.
        insert_ns: Added for a new order.
        update_ns: Added for a modification.
        cancel_ns: Added for a cancel.

    >>> LatencyModel(base_ns=1_000_000, cancel_ns=500_000).cancel_ns
    500000
    """

    base_ns: int = 0
    insert_ns: int = 0
    update_ns: int = 0
    cancel_ns: int = 0

    def __post_init__(self) -> None:
        """Check that every delay is whole and not negative."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if type(value) is not int or value < 0:
                raise ConfigError(
                    f"{name} must be a whole number of nanoseconds, 0 or more; got {value!r}"
                )

    @property
    def is_zero(self) -> bool:
        """Return whether nothing is delayed."""
        return not (self.base_ns or self.insert_ns or self.update_ns or self.cancel_ns)

    def delay_ns(self, command: TradingCommand) -> int:
        """Return how long a command is on its way."""
        if isinstance(command, (SubmitOrder, SubmitOrderList)):
            return self.base_ns + self.insert_ns
        if isinstance(command, ModifyOrder):
            return self.base_ns + self.update_ns
        return self.base_ns + self.cancel_ns
