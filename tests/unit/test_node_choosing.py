"""Which strategy is meant, and what is said where none or several can be."""

from __future__ import annotations

import pytest

import workbench as wb
from workbench.model.errors import ConfigError
from workbench.node.choosing import Candidate, chosen, chosen_actor

THERE = [Candidate("A-001", "A", 1), Candidate("A-002", "A", 2), Candidate("B-003", "B", 3)]


@pytest.mark.parametrize(("which", "found"), [("A-002", 2), ("B", 3), ("B-003", 3), (1, 1)])
def test_itself_its_name_or_its_class_names_one(which: object, found: int) -> None:
    assert chosen("the node", THERE, which) == found


def test_a_name_counts_before_a_class_that_is_called_so() -> None:
    there = [*THERE, Candidate("C-004", "A-001", 4)]
    assert chosen("the node", there, "A-001") == 1


def test_the_only_one_is_meant_by_nothing() -> None:
    assert chosen("the node", THERE[2:], None) == 3


@pytest.mark.parametrize(
    ("there", "which", "said"),
    [
        (THERE, "A", "run 3 has several strategies 'A'; say which: A-001, A-002"),
        (THERE, None, "run 3 has several strategies; say which: A-001, A-002, B-003"),
        (THERE, "C", "run 3 has no strategy 'C'; its strategies: A-001, A-002, B-003"),
        ([], None, "run 3 has no strategy; its strategies: none"),
    ],
)
def test_what_names_none_or_several_is_answered_with_those_there_are(
    there: list[Candidate[int]], which: object, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        chosen("run 3", there, which)
    assert str(caught.value) == said


def test_objects_without_a_name_yet_are_told_as_they_look_and_an_empty_name_is_none() -> None:
    one, other = wb.Actor(), wb.Actor()
    assert chosen_actor([one, other], other) is other
    with pytest.raises(ConfigError, match=r"no strategy ''; its strategies: Actor\(.*, Actor\("):
        chosen_actor([one, other], "")
