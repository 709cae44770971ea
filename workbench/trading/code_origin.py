"""Whose code something is: the user's, which is read, or a library's, which its version names."""

from __future__ import annotations

import importlib.metadata
import platform
import site
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

OURS = "trading-workbench"
_NAMESPACE: Any = vars(ModuleType)["__dict__"]
_MODULE: Any = type.__dict__["__module__"]


@cache
def _library_roots() -> tuple[str, ...]:
    """Return the folders whose code is named by a version."""
    paths = sysconfig.get_paths()
    package = Path(__file__).parents[1]
    folders = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders.update((*site.getsitepackages(), site.getusersitepackages()))
    folders.update((str(package), str(package.parent / "extensions")))
    real = {str(Path(folder).resolve()) for folder in folders}
    return tuple(sorted(f"{folder.rstrip('/')}/" for folder in folders | real))


@cache
def is_library_file(path: str) -> bool:
    """Return whether a file's code is a library's."""
    return path.startswith(("<frozen ", *_library_roots()))


def is_library_code(code: CodeType) -> bool:
    """Return whether a code object is a library's."""
    return is_library_file(code.co_filename)


def names_of_module(module: ModuleType) -> Mapping[str, Any]:
    """Return what a module holds, without asking it."""
    return _NAMESPACE.__get__(module)


def is_library_module(name: str) -> bool:
    """Return whether a module, loaded or not, is a library's."""
    if name == "__main__":
        return False
    module = sys.modules.get(name)
    if module is not None:
        path = names_of_module(module).get("__file__")
        if type(path) is str:
            return is_library_file(path)
    return name.partition(".")[0] in (*sys.builtin_module_names, *sys.stdlib_module_names)


def module_of_class(kind: type) -> str:
    """Return the name of the module that a class says it is of, without asking its metaclass."""
    name = _MODULE.__get__(kind)
    return name if type(name) is str else "builtins"


@cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


@cache
def _version(package: str) -> tuple[str, str]:
    """Return the distribution of a package and its version, as it was when it was asked first.

    What is imported stays what it is, whatever is installed later.
    """
    with suppress(importlib.metadata.PackageNotFoundError):
        return package, importlib.metadata.version(package)  # most are called alike
    for distribution in _distributions().get(package, ()):
        return distribution, importlib.metadata.version(distribution)
    module = sys.modules.get(package)
    said = None if module is None else names_of_module(module).get("__version__")
    return package, said if type(said) is str else "unknown"


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python, ours, and the distributions that these packages are of."""
    found = {"python": platform.python_version(), OURS: _our_version()}
    for package in packages:
        if package not in sys.stdlib_module_names and not package.startswith("workbench"):
            distribution, version = _version(package)
            found[distribution] = version
    return dict(sorted(found.items()))


@cache
def _our_version() -> str:
    try:
        return importlib.metadata.version(OURS)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
