"""Where `%node stop` becomes an awaited call."""

from __future__ import annotations

import ast

import pytest

from workbench.jupyter.awaiting import AwaitNodeStop, add_await

STOP = "get_ipython().run_line_magic('node', 'stop')"
AWAITED = "(await get_ipython().run_line_magic('node', 'stop --await'))"


def added(text: str) -> str:
    """Return the text with `await` added, checked to parse in a cell."""
    changed = "".join(add_await(text.splitlines(keepends=True)))
    if changed != text:
        compile(changed, "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return changed


@pytest.mark.parametrize(
    "text",
    [
        "{}\n",
        "x = {}\n",
        "print({})\n",
        "f(g({}), 1)\n",
        "for _ in range(3):\n    {}\n",
        "if True:\n    pass\nelse:\n    x = [{}]\n",
        "try:\n    {}\nfinally:\n    pass\n",
        "with a as b:\n    {}\n",
        "{}; {}\n",
        "x = {}, {}\n",
        "async def f():\n    {}\n",
        "def f():\n    async def g():\n        {}\n",
        "{}",
        "a = 1\n\n\n{}\nb = 2\n",
    ],
)
def test_it_awaits_where_await_is_allowed(text: str) -> None:
    count = text.count("{}")
    assert added(text.format(*[STOP] * count)) == text.format(*[AWAITED] * count)


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n    {}\n",
        "async def f():\n    def g():\n        {}\n",
        "f = lambda: {}\n",
        "class A:\n    {}\n",
        "x = [{} for _ in range(2)]\n",
        "x = {{{} for _ in range(2)}}\n",
        "x = {{1: {} for _ in range(2)}}\n",
        "x = list({} for _ in range(2))\n",
        "class A:\n    def f(self):\n        return {}\n",
    ],
)
def test_it_leaves_alone_where_await_is_not_allowed(text: str) -> None:
    assert added(text.format(STOP)) == text.format(STOP)


@pytest.mark.parametrize(
    "text",
    [
        'x = """{}"""\n',
        "# {}\n",
        "x = 'stop'\n",
        "x = \"get_ipython().run_line_magic('node', 'stop')\"\n",
        "get_ipython().run_line_magic('node', 'status')\n",
        "get_ipython().run_line_magic('nodes', 'stop')\n",
        "get_ipython().run_line_magic('time', '%node stop')\n",
        "get_ipython().run_cell_magic('time', '', '%node stop\\n')\n",
        "get_ipython().run_line_magic(name, 'stop')\n",
        "get_ipython().run_line_magic('node', line)\n",
        "get_ipython().run_line_magic('node', 'stop', 1)\n",
        "get_ipython().run_line_magic('node', b'stop')\n",
        "run_line_magic('node', 'stop')\n",
        AWAITED + "\n",
    ],
)
def test_it_leaves_everything_else_alone(text: str) -> None:
    assert added(text.replace("{}", STOP)) == text.replace("{}", STOP)


@pytest.mark.parametrize(
    "text",
    [
        "def f(:\n    pass\nget_ipython().run_line_magic('node', 'stop')\n",
        "x = \0 get_ipython().run_line_magic('node', 'stop')\n",
        "x = '\ud800'; get_ipython().run_line_magic('node', 'stop')\n",
    ],
)
def test_what_does_not_parse_is_left_to_the_shell(text: str) -> None:
    assert "".join(add_await([text])) == text


def test_a_name_goes_along() -> None:
    text = "get_ipython().run_line_magic('node', 'stop left')\n"
    assert added(text) == "(await get_ipython().run_line_magic('node', 'stop left --await'))\n"


def test_a_reset_is_awaited_too() -> None:
    text = "x = get_ipython().run_line_magic('node', 'reset left')\n"
    awaited = "x = (await get_ipython().run_line_magic('node', 'reset left --await'))\n"
    assert added(text) == awaited


@pytest.mark.parametrize("word", ["promote", "demote", "checklist", "verify"])
def test_so_are_the_words_that_ask_a_venue_or_take_long(word: str) -> None:
    text = f"x = get_ipython().run_line_magic('node', '{word} left --account A')\n"
    line = f"{word} left --account A --await"
    assert added(text) == f"x = (await get_ipython().run_line_magic('node', '{line}'))\n"


def test_an_await_that_is_there_stays_the_only_one() -> None:
    assert added(f"await {STOP}\n") == f"await {AWAITED[7:-1]}\n"


def test_what_stands_before_it_may_be_any_text() -> None:
    text = f"x = 'größer → 東京 😀'; y = {STOP}; z = '😀'\n"
    assert added(text) == f"x = 'größer → 東京 😀'; y = {AWAITED}; z = '😀'\n"


@pytest.mark.parametrize("character", ["\x0c", "\x0b", "\x1c", "\x85", "\u2028", "\u2029"])
def test_characters_that_only_look_like_ends_of_lines_do_not_count(character: str) -> None:
    text = f"x = 'a{character}b'\ny = 1; {STOP}\n"
    assert "".join(add_await([text])) == f"x = 'a{character}b'\ny = 1; {AWAITED}\n"


def test_carriage_returns_do() -> None:
    assert "".join(add_await([f"x = 1\r\n{STOP}\r\n"])) == f"x = 1\r\n{AWAITED}\r\n"


def test_strings_over_several_lines_do_not_shift_it() -> None:
    text = f'x = """\na\n"""; {STOP}\n{STOP}\n'
    assert added(text) == f'x = """\na\n"""; {AWAITED}\n{AWAITED}\n'


def test_one_written_over_several_lines_is_left_alone() -> None:
    text = "get_ipython().run_line_magic(\n    'node', 'stop'\n)\n"
    assert added(text) == text


class _Shell:
    autoawait = True


def test_what_is_transformed_within_a_running_cell_is_left_alone() -> None:
    awaiting = AwaitNodeStop(_Shell())
    awaiting.begin()
    assert awaiting.transform([STOP]) == [STOP]
    awaiting.end()
    assert awaiting.transform([STOP]) == [AWAITED]


def test_a_shell_that_does_not_await_is_left_alone() -> None:
    shell = _Shell()
    shell.autoawait = False
    assert AwaitNodeStop(shell).transform([STOP]) == [STOP]
