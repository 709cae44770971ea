"""Parameters: declared, checked, shown, kept."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, ClassVar

import numpy as np
import pytest

from workbench.model.errors import ConfigError
from workbench.trading import Actor, Parameters, Strategy


class Cross(Strategy):
    fast: int = 10
    slow: int
    ratio: float = 1.5
    size: Decimal = Decimal("0.1")
    names: list[str] = ["a"]  # noqa: RUF012 - a parameter's default
    is_on: bool = True
    floor: Decimal | None = None
    anything: Any = None
    count: ClassVar[int] = 0
    _private: int = 5


def test_values_are_taken_by_name_checked_and_made_exact() -> None:
    cross = Cross(slow=20, ratio=2, size=0.25, floor="1.5")
    assert (cross.fast, cross.slow, cross.ratio) == (10, 20, 2.0)
    assert (cross.size, cross.floor) == (Decimal("0.25"), Decimal("1.5"))
    assert dict(cross.parameters)["is_on"] is True
    assert "count" not in cross.parameters
    assert "_private" not in cross.parameters


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "Cross needs a value for its parameter 'slow'"),
        ({"slow": 1, "quick": 2}, "Cross has no parameter 'quick'; it has: fast, slow, ratio"),
        ({"slow": "x"}, "Cross: slow='x' does not fit"),
        ({"slow": True}, "Cross: slow=True does not fit"),
        ({"slow": 1.5}, "Cross: slow=1.5 does not fit"),
        ({"slow": 1, "is_on": 1}, "Cross: is_on=1 does not fit"),
        ({"slow": 1, "size": "x"}, "Cross: size must be a number"),
        ({"slow": 1, "names": [1]}, "Cross: names=.1. does not fit"),
    ],
)
def test_a_wrong_parameter_is_named(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        Cross(**given)


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ({"slow": np.int64(20)}, "slow", 20),
        ({"slow": np.uint8(20)}, "slow", 20),
        ({"ratio": np.float64(0.25)}, "ratio", 0.25),
        ({"ratio": np.float32(0.25)}, "ratio", 0.25),
        ({"ratio": np.int64(2)}, "ratio", 2.0),
        ({"is_on": np.bool_(False)}, "is_on", False),
        ({"size": np.float64(0.1)}, "size", Decimal("0.1")),
        ({"size": np.int32(3)}, "size", Decimal(3)),
        ({"floor": np.float64(0.1)}, "floor", Decimal("0.1")),
    ],
)
def test_numpy_scalars_are_taken_as_the_numbers_they_are(
    given: dict[str, Any], name: str, value: Any
) -> None:
    cross = Cross(**{"slow": 1, **given})
    found = cross.parameters[name]
    assert found == value
    assert type(found) is type(value)
    assert getattr(cross, name) is found


@pytest.mark.parametrize(
    "given",
    [
        {"slow": np.float64(1.5)},
        {"slow": np.bool_(True)},
        {"is_on": np.int64(1)},
        {"size": np.float64("nan")},
        {"slow": np.array([1, 2])},
    ],
)
def test_numpy_scalars_that_do_not_fit_are_refused_as_other_numbers_are(
    given: dict[str, Any],
) -> None:
    with pytest.raises(ConfigError, match=next(iter(given))):
        Cross(**{"slow": 1, **given})


def test_strategies_are_made_over_a_numpy_range() -> None:
    made = [Cross(slow=slow) for slow in np.arange(20, 50, 10)]
    assert [one.slow for one in made] == [20, 30, 40]
    assert made[0].parameters == Cross(slow=20).parameters
    assert json.loads(made[0].parameters.to_json())["slow"] == 20


def test_a_class_without_parameters_says_how_to_declare_them() -> None:
    with pytest.raises(ConfigError, match="declare them as annotated class attributes"):
        Strategy(fast=1)


def test_parameters_are_given_by_name_only() -> None:
    with pytest.raises(ConfigError, match=r"takes its parameters by name, such as Cross\(fast=..."):
        Cross(20)  # type: ignore[misc]


def test_parameters_are_inherited_and_may_be_redeclared() -> None:
    class Slower(Cross):
        slow: int = 200
        extra: str = "x"

    assert list(Slower().parameters)[:2] == ["fast", "slow"]
    assert repr(Slower(extra="y")).endswith("extra='y')")


def test_a_name_that_every_strategy_has_is_refused() -> None:
    class Bad(Strategy):
        instrument: str = "AUD/USD.SIM"  # type: ignore[assignment]

    class Worse(Strategy):
        orders: int = 1  # type: ignore[assignment]

    class Worst(Strategy):
        stop: float = 0.1  # type: ignore[assignment]

    for kind in (Bad, Worse, Worst):
        with pytest.raises(ConfigError, match="which every strategy has; choose another name"):
            kind()


def test_an_own_init_takes_no_arguments() -> None:
    class Own(Strategy):
        fast: int = 10

        def __init__(self) -> None:
            super().__init__()
            self.twice = self.fast * 2

    assert Own(fast=4).twice == 8
    with pytest.raises(ConfigError, match="takes arguments; declare parameters"):

        class Wrong(Strategy):
            def __init__(self, fast: int) -> None:
                self.fast = fast


def test_an_own_init_that_takes_keywords_gets_the_parameters() -> None:
    class Own(Strategy):
        fast: int = 10

        def __init__(self, **given: Any) -> None:
            self.given = given

    assert Own(fast=3).given == {"fast": 3}


CELL = """
from __future__ import annotations
from decimal import Decimal

class Cell(Strategy):
    size: Decimal = Decimal(1)
    count: int = 2
    book: Unknown = None
    names: ClassVar[list[str]] = []

    def on_start(self):
        pass
"""


def test_a_class_from_a_notebook_cell_is_checked_too() -> None:
    # Executed without a source file, annotations as text, names only the cell knows.
    namespace: dict[str, Any] = {"Strategy": Strategy, "__name__": "__main__"}
    exec(CELL, namespace)
    cell = namespace["Cell"](size="0.5", book=3)
    assert (cell.size, cell.book) == (Decimal("0.5"), 3)
    assert "names" not in cell.parameters
    with pytest.raises(ConfigError, match="count='x' does not fit"):
        namespace["Cell"](count="x")


def test_a_class_without_functions_takes_its_names_from_its_module() -> None:
    exec(
        "from __future__ import annotations\nclass Bare(Actor):\n    size: Decimal = 1\n",
        space := {"Actor": Actor, "__name__": __name__},
    )
    made: Any = space["Bare"]
    assert made().size == Decimal(1)


def test_an_unusual_type_is_left_to_the_strategy() -> None:
    class Odd(Strategy):
        what: Parameters | object = None

    odd = object()
    assert Odd(what=odd).what is odd


def test_containers_are_copies_so_that_defaults_stay_as_they_are() -> None:
    first, second = Cross(slow=1), Cross(slow=1)
    first.names.append("b")
    assert second.names == ["a"]
    assert first.parameters["names"] == ["a"]


def test_parameters_compare_serialise_and_are_read_only() -> None:
    parameters = Cross(slow=20).parameters
    assert parameters == Cross(slow=20).parameters
    assert len(parameters) == 8
    assert json.loads(parameters.to_json())["size"] == "0.1"
    with pytest.raises(TypeError):
        parameters["slow"] = 3  # type: ignore[index]


def test_html_is_escaped() -> None:
    class Page(Actor):
        text: str

    page = Page(text="<script>")
    assert "&lt;script&gt;" in page._repr_html_()
    assert "<script>" not in page._repr_html_()
    assert page.parameters._repr_html_() in page._repr_html_()
    assert repr(page) == "Page(text='<script>')"
