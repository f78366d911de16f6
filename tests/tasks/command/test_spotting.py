"""Events from log ratios: when they begin, what follows them, and the threshold."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memfold.runtime.hearing.spotting import (
    FIRST_THRESHOLD,
    Spotter,
    Spotting,
    log_ratios,
    smoothed,
    spotted,
    threshold_for,
)


def logits(*stretches: tuple[int, int]) -> np.ndarray:
    """``(steps, class)`` one after another, of three classes, all but certain."""
    return np.concatenate([np.tile(12 * np.eye(3, dtype=np.float32)[kind], (steps, 1)) for steps, kind in stretches])


def test_an_event_begins_where_the_threshold_is_reached_and_has_its_greatest_score() -> None:
    said = logits((10, 2), (6, 1), (10, 2))
    (event,) = Spotter(Spotting(4, 8, 5.0), 2).follow(said)
    assert (event.step, event.command) == (12, 1)  # three of four steps at 12, one at -12
    assert event.score == 12
    assert event.probability == pytest.approx(1 / (1 + np.exp(-12)))


def test_what_is_still_going_on_at_the_end_is_reported() -> None:
    assert [e.step for e in Spotter(Spotting(4, 8, 5.0), 2).follow(logits((10, 2), (3, 0)))] == [12]
    assert list(Spotter(Spotting(4, 8, 5.0), 2).follow(logits((10, 2), (2, 0)))) == []


def test_nothing_is_reported_in_the_refractory_time() -> None:
    twice = logits((4, 2), (4, 0), (5, 2), (4, 1), (9, 2))
    assert [e.command for e in Spotter(Spotting(2, 5, 5.0), 2).follow(twice)] == [0, 1]
    assert [e.command for e in Spotter(Spotting(2, 15, 5.0), 2).follow(twice)] == [0]


def test_a_command_that_goes_on_is_reported_once() -> None:
    assert len(list(Spotter(Spotting(2, 3, 5.0), 2).follow(logits((4, 2), (60, 0), (4, 2))))) == 1


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2)), min_size=1, max_size=12),
    st.integers(1, 5),
    st.integers(0, 9),
    st.sampled_from([-3.1, 0.53, 7.7]),
    st.integers(0, 1000),
)
def test_a_whole_recording_has_the_events_that_come_one_by_one(stretches, window, more, threshold, seed) -> None:
    said = logits(*stretches)
    said += np.random.default_rng(seed).normal(0, 5, said.shape).astype(np.float32)
    spotting = Spotting(window, window + more, threshold)
    live = list(Spotter(spotting, 2).follow(said))
    whole = spotted(smoothed(log_ratios(said), window), spotting)
    assert [(e.step, e.command) for e in live] == [(e.step, e.command) for e in whole]
    np.testing.assert_allclose([e.score for e in live], [e.score for e in whole], atol=1e-5)
    assert all(later.step - e.step >= spotting.refractory for e, later in pairwise(live))


def rows(*levels: float) -> np.ndarray:
    """Smoothed log ratios of one command that comes up to each of the levels."""
    return np.array([[x] for level in levels for x in (-9.0, level, -9.0, -9.0)], np.float32)


def test_the_threshold_is_the_least_with_no_more_false_alarms_than_allowed() -> None:
    heard = [(rows(1.5, 3.2, 30.0), 0), (rows(99.0), 1)]  # in the last one a command is said: it is no alarm
    found = [threshold_for(heard, allowed, Spotting(1, 1)) for allowed in (0, 1, 2, 3)]
    assert found[3] == FIRST_THRESHOLD
    assert all(0 < threshold - level < 0.051 for threshold, level in zip(found, (30.0, 3.2, 1.5), strict=False))


def test_what_follows_a_command_that_is_said_is_a_false_alarm() -> None:
    assert 2 < threshold_for([(rows(9.0, 2.0), 1)], 0, Spotting(1, 1)) < 2.06


def test_without_anything_heard_the_least_threshold_stays() -> None:
    assert threshold_for([], 0, Spotting(1, 1)) == FIRST_THRESHOLD


def test_a_score_does_not_depend_on_the_other_commands() -> None:
    said = np.array([[3.0, 1.0, -2.0], [3.0, 99.0, -2.0]], np.float32)
    np.testing.assert_array_equal(log_ratios(said), [[5, 3], [5, 101]])
