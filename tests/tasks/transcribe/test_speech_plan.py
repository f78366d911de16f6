"""What is chosen for speech: by how much of it, the time and the machine."""

from dataclasses import replace

import pytest

from memfold.tasks.transcribe.plan import Speech, plan, products

HOURS = Speech(4 * 360_000, 120_000, 4600, 16_000, 80, causal=False)
MINUTES = Speech(5 * 6000, 4000, 140, 16_000, 80, causal=False)


@pytest.mark.parametrize("speech", [HOURS, MINUTES, replace(HOURS, causal=True)])
def test_more_time_never_makes_a_smaller_network(speech: Speech) -> None:
    plans = [plan(speech, seconds, 1.0, {}).values for seconds in (1, 60, 180, 900, 3600, 36_000)]
    sizes = [products(speech, p["stacked"], p["hidden_size"], p["num_layers"]) for p in plans]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


def test_little_speech_has_a_small_network_however_much_time_there_is() -> None:
    few, many = (plan(speech, 36_000, 1.0, {}).values["hidden_size"] for speech in (MINUTES, HOURS))
    assert few < many


def test_a_slow_machine_is_as_little_time() -> None:
    assert plan(HOURS, 900, 0.5, {}) == plan(HOURS, 450, 1.0, {})


def test_what_is_set_is_reckoned_with() -> None:
    free = plan(HOURS, 900, 1.0, {})
    large = plan(HOURS, 900, 1.0, {"hidden_size": 1024, "num_layers": 4})
    assert (large.values["hidden_size"], large.values["num_layers"]) == (1024, 4)
    assert large.epochs < free.epochs


def test_the_more_passes_the_more_is_augmented() -> None:
    shares = [plan(HOURS, seconds, 1.0, {}).values["augmented"] for seconds in (60, 900, 3600, 36_000)]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] == 1


def test_quick_speech_has_short_steps() -> None:
    assert plan(HOURS, 900, 1.0, {}).values["stacked"] == 3
    assert plan(replace(HOURS, characters=400_000), 900, 1.0, {}).values["stacked"] == 2
