from dataclasses import replace
from typing import Any

import pytest

from memfold.tasks.sentiment.plan import FEW, LARGE, MOST_MEMBERS, SMALL, Facts, plan

SENTENCES = Facts(7000, (10, 20, 20, 30), 2, 3000, False)


def chosen(facts: Facts, seconds: float = 180, speed: float = 1, **given: Any) -> dict[str, Any]:
    return dict(plan(facts, seconds, speed, given, 64).values)


def test_facts_are_those_of_the_texts() -> None:
    facts = Facts.of(["two words", "three words here", "two more"], ["a", "b", "a"])
    assert facts == Facts(3, (2, 2, 3), 2, 1, False)
    assert Facts.of(["酒店很好"], ["a"]).by_character
    assert str(facts) == "3 texts, half of them over 2 words, 2 classes, the rarest of 1 text"


def test_more_time_or_a_faster_machine_brings_more_networks_and_more_texts_fewer() -> None:
    networks = [chosen(SENTENCES, seconds)["members"] for seconds in (10, 60, 180)]
    assert networks == sorted(networks)
    assert networks[0] == 1
    assert networks[-1] == MOST_MEMBERS
    assert chosen(SENTENCES, 180, 0.25) == chosen(SENTENCES, 45, 1)
    assert chosen(replace(SENTENCES, texts=70_000))["members"] == 1


def test_a_network_is_smaller_where_texts_or_time_are_few() -> None:
    assert chosen(SENTENCES)["hidden_size"] == LARGE
    assert chosen(SENTENCES, 10)["hidden_size"] == SMALL
    assert chosen(replace(SENTENCES, texts=FEW - 1))["embedding_size"] == SMALL


def test_long_texts_are_cut_where_they_would_leave_no_time() -> None:
    long = replace(SENTENCES, lengths=(100, 300, 350, 390))
    assert chosen(replace(long, texts=500))["max_length"] > 350
    cut = replace(long, texts=100_000)
    assert chosen(cut)["max_length"] == 100
    assert chosen(cut, max_length=250)["max_length"] == 250


def test_few_texts_are_validated_on_by_the_networks_that_leave_them_out() -> None:
    few = replace(SENTENCES, texts=1000)
    assert (chosen(few)["folds"], chosen(few)["members"]) == (5, 5)
    assert chosen(few, members=2)["folds"] == 2
    assert chosen(few, members=1)["folds"] == 1
    assert chosen(few, 1, folds=8)["members"] == 8
    assert chosen(SENTENCES)["folds"] == 1
    assert chosen(replace(few, rarest=1))["folds"] == 1


def test_few_texts_are_not_trained_on_until_a_long_budget_ends() -> None:
    few = replace(SENTENCES, texts=64)
    found = plan(few, 3600, 1, {}, 64)
    assert found.epochs == found.values["epochs"] == 600
    assert plan(SENTENCES, 3600, 1, {}, 64).epochs == 30


def test_long_texts_are_passed_over_less_often() -> None:
    passes = [chosen(replace(SENTENCES, lengths=(length,) * 4))["epochs"] for length in (10, 40, 80, 300)]
    assert passes == [30, 17, 8, 8]
    assert chosen(replace(SENTENCES, texts=640, lengths=(300,) * 4))["epochs"] == 60


def test_what_somebody_has_set_stays_and_the_rest_follows() -> None:
    given = chosen(SENTENCES, 60, hidden_size=300, members=None)
    assert given["hidden_size"] == 300
    assert given["members"] < chosen(SENTENCES, 60)["members"]
    assert plan(SENTENCES, 60, 1, {}, 64) == plan(SENTENCES, 60, 1, {}, 64)


@pytest.mark.parametrize("facts", [Facts(2, (1, 1), 2, 1, False), Facts(10**7, (5000,) * 9, 500, 2, True)])
def test_odd_data_have_a_plan(facts: Facts) -> None:
    values = chosen(facts)
    assert values.keys() == {"max_length", "embedding_size", "hidden_size", "members", "folds", "epochs"}
    assert all(isinstance(value, int) and value >= 1 for value in values.values())
