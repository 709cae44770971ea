"""The source text of code, where it can still be found and says what was compiled."""

from __future__ import annotations

import inspect
import linecache
from types import CodeType

from workbench.trading.code_facts import plain_code


def source_of(code: CodeType) -> str | None:
    """Return the text that a function's code was compiled from, None where that is not sure.

    A file may have changed since it was imported; a notebook's cell is kept by its kernel. What was
    found is compiled again, and counts only if that gives the same code.
    """
    # Never `inspect.getsource`: it asks every module that is loaded for its attributes.
    lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 :]
    if not lines:
        return None
    try:
        text = "".join(inspect.getblock(lines))
        # Inside a class, names may be mangled and `super()` finds its class.
        wrapped = text if not text[:1].isspace() else f"class {_owner(code)}:\n{text}"
        compiled = compile(wrapped, "<source>", "exec", code.co_flags & _FUTURES, True)
    except (SyntaxError, ValueError, IndentationError, EOFError):
        return None
    return text if _is_in(code, compiled) else None


_FUTURES = 0x1FE0000  # what `from __future__ import ...` switched on where it was compiled


def _owner(code: CodeType) -> str:
    names = code.co_qualname.split(".")
    return names[-2] if len(names) > 1 and names[-2].isidentifier() else "_"


def _is_in(code: CodeType, compiled: CodeType) -> bool:
    for one in compiled.co_consts:
        if type(one) is not CodeType:
            continue
        if one.co_name == code.co_name and _is_same(code, one):
            return True
        if _is_in(code, one):
            return True
    return False


def _is_same(code: CodeType, found: CodeType) -> bool:
    if plain_code(code) == plain_code(found):
        return True
    # Alone, a function finds what belonged to one around it among the globals.
    return bool(code.co_freevars) and _names(code) == _names(found)


def _names(code: CodeType) -> tuple[object, ...]:
    used = {*code.co_names, *code.co_freevars, *code.co_cellvars} - {"__class__"}
    constants = [repr(one) for one in code.co_consts if type(one) is not CodeType]
    return used, {*code.co_varnames}, constants
