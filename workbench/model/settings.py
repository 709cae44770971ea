"""What settings have in common: an argument that is missing, or no field, is refused by name."""

from __future__ import annotations

from typing import Any

import msgspec

from workbench.model.errors import ConfigError


class SettingsMeta(msgspec.StructMeta):
    """Refuses what is no field, what is missing, and what is no switch where a field is one."""

    def __call__(self, *arguments: Any, **given: Any) -> Any:
        """Make the settings.

        Raises:
            ConfigError: If an argument is no field, is missing, or is not True or False where the
                field's default is.
        """
        known: tuple[str, ...] = self.__struct_fields__
        if arguments and not known:
            raise ConfigError(f"{self.__name__} takes no arguments; got {arguments[0]!r}")
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
        defaults: tuple[Any, ...] = self.__struct_defaults__
        optional = dict(zip(known[len(known) - len(defaults) :], defaults, strict=True))
        for name in known:
            default = optional.get(name, msgspec.NODEFAULT)
            if name not in given and default is msgspec.NODEFAULT:
                raise ConfigError(f"{self.__name__} needs {name}=...")
            if isinstance(default, bool) and not isinstance(given.get(name, default), bool):
                raise ConfigError(
                    f"{self.__name__}: {name} must be True or False; got {given[name]!r}"
                )
        return super().__call__(**given)
