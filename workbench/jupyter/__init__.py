"""The notebook layer: magics, their completion, dashboards, a graceful stop on shutdown."""

from __future__ import annotations

from typing import Any

from workbench.jupyter.extension import Extension

_ATTRIBUTE = "_workbench_extension"


def load(shell: Any) -> None:
    """Add the magics to a shell; a second time does nothing."""
    if getattr(shell, _ATTRIBUTE, None) is None:
        extension = Extension(shell)
        extension.load()
        setattr(shell, _ATTRIBUTE, extension)


def unload(shell: Any) -> None:
    """Take everything `load` added away; nodes go on."""
    extension = getattr(shell, _ATTRIBUTE, None)
    if extension is not None:
        extension.unload()
        setattr(shell, _ATTRIBUTE, None)


__all__ = ["load", "unload"]
