"""What settings have in common: a field that does not exist is refused by name."""

from __future__ import annotations

from typing import Any

import msgspec

from workbench.model.errors import ConfigError


class SettingsMeta(msgspec.StructMeta):
    """Refuses arguments that are no fields with an error that lists those that are."""

    def __call__(self, *arguments: Any, **given: Any) -> Any:
        """Make the settings.

        Raises:
            ConfigError: If an argument is no field.
        """
        known: tuple[str, ...] = self.__struct_fields__
        if arguments:
            raise ConfigError(
                f"{self.__name__} takes its fields by name, such as {known[0]}={arguments[0]!r}"
            )
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise ConfigError(
                f"{self.__name__} has no field {', '.join(map(repr, unknown))};"
                f" it has: {', '.join(known)}"
            )
        return super().__call__(**given)
