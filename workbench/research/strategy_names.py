"""A strategy as text names it: where its class is, and its parameters."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from workbench.model.errors import ConfigError
from workbench.research.calls import Call
from workbench.trading import Actor, Strategy

_GROUPED = re.compile(r"[+-]?\d+(_\d+)+(\.\d+)?")


def make_strategy(where: str, parameters: Iterable[str]) -> Actor:
    """Return a new strategy object.

    Args:
        where: `path/to/file.py:ClassName` or `package.module:ClassName`.
        parameters: `name=value` each; the value is read as the parameter's declared type.

    Raises:
        ConfigError: If there is no such class, or a parameter does not fit it.
    """
    return strategy_call(strategy_class(where), parameters).make()


def strategy_call(kind: type[Actor], parameters: Iterable[str]) -> Call[Actor]:
    """Return what makes a strategy of a class; `parameters` as for `make_strategy`.

    Raises:
        ConfigError: If a parameter does not fit.
    """
    return Call(kind.__name__, kind, **parse_parameters(kind, parameters))


def strategy_class(where: str) -> type[Actor]:
    """Return the class that `where` names.

    Raises:
        ConfigError: If there is none; says which there are.
    """
    source, colon, name = where.rpartition(":")
    if not colon:
        source, name = where, ""
    module = _from_file(Path(source)) if _is_path(source) else _from_package(source)
    found = getattr(module, name, None) if name else None
    if isinstance(found, type) and issubclass(found, Actor):
        return found
    there = ", ".join(f"{source}:{one}" for one in _strategies(module))
    there = f"there is {there}" if there else "it has no subclass of wb.Strategy or wb.Actor"
    if not name:
        raise ConfigError(f"{source}: say which class, as {source}:ClassName; {there}")
    if found is None:
        raise ConfigError(f"{source} has no class {name!r}; {there}")
    raise ConfigError(f"{where} is no wb.Strategy or wb.Actor but {found!r}; {there}")


def _is_path(source: str) -> bool:
    return source.endswith(".py") or "/" in source


def _strategies(module: ModuleType) -> list[str]:
    """Return the strategies a module defines, or else those it imports."""
    found = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Actor) and value not in (Actor, Strategy)
    }
    own = [name for name, value in found.items() if value.__module__ == module.__name__]
    return own or list(found)


def _from_file(path: Path) -> ModuleType:
    path = path.expanduser()
    if not path.is_file():
        raise ConfigError(f"{path}: no such file (looked for {path.absolute()})")
    name = f"strategy_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path.absolute())
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is no Python file; its name must end with .py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.absolute().parent))  # what lies beside the file can be imported
    sys.modules[name] = module  # where dataclasses and annotations look a class's module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise _import_failed(str(path), error) from error
    return module


def _from_package(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigError(
                f"no module {error.name!r}; it is looked for here ({here}) and among what is"
                " installed. A file is named with its ending: path/to/file.py:ClassName"
            ) from error
        raise _import_failed(name, error) from error
    except Exception as error:
        raise _import_failed(name, error) from error


def _import_failed(what: str, error: Exception) -> ConfigError:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {frames[-1].filename}, line {frames[-1].lineno}" if frames else ""
    return ConfigError(f"{what} cannot be imported: {type(error).__name__}{place}: {error}")


def parse_parameters(kind: type[Actor], given: Iterable[str]) -> dict[str, Any]:
    """Return parameters from `name=value` texts, read as their declared types.

    Raises:
        ConfigError: If one is malformed, given twice, or is not of its type.
    """
    declared = kind.declared_parameters()
    values: dict[str, Any] = {}
    for one in given:
        name, equals, text = one.partition("=")
        if not equals or not name:
            raise ConfigError(f"-p takes NAME=VALUE, such as -p fast=10; got {one!r}")
        if name in values:
            raise ConfigError(f"-p {name} is given twice")
        # An unknown name is refused by the strategy, which says what it has.
        values[name] = _parse(one, declared[name].hint, text) if name in declared else text
    return values


def _parse(one: str, hint: Any, text: str) -> Any:
    if hint in (str, Decimal, Any):
        return text
    parse: Any = getattr(hint, "parse", None)
    if callable(parse):
        return parse(text)  # an instrument's bars, an amount of money
    if _GROUPED.fullmatch(text):
        text = text.replace("_", "")
    try:
        return msgspec.convert(text, hint, strict=False)
    except msgspec.ValidationError as error:
        try:
            return msgspec.json.decode(text, type=hint)
        except msgspec.MsgspecError:
            raise ConfigError(f"-p {one} does not fit: {error}") from error
    except TypeError:
        return text  # a type msgspec does not know: left to the strategy's own checks
