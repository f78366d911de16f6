"""What the bundled forecaster reads, against the same said step by step."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memfold.runtime.forecasting.candidates import CANDIDATES, PATCH, Scale, candidates, facts

STEPS = 8 * PATCH
ZERO = np.array([[-10.0]])  # in deviations: all values lie above it


def made(seed: int, missing: float, season: int, long: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A series, what is seen of it, and its seasons."""
    rng = np.random.default_rng(seed)
    seen = rng.random((1, STEPS)) >= missing
    seen[:, -2 * PATCH :] = False
    z = np.where(seen, rng.normal(size=(1, STEPS)), 0).astype(np.float32)
    return z, seen, np.array([[season, long]])


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 50), missing=st.sampled_from([0.0, 0.3, 0.95]), season=st.integers(1, 40))
def test_a_seasonal_naive_is_the_last_value_seen_whole_seasons_before(seed: int, missing: float, season: int) -> None:
    z, seen, seasons = made(seed, missing, season, 1)
    its = candidates(z, seen, seasons, ZERO)
    for step in range(STEPS):
        end = (step // PATCH + 1) * PATCH  # nothing after it is known
        target = step + PATCH
        before = [at for at in range(target - season, -1, -season) if at < end and seen[0, at]]
        nearest = [at for at in before if at > min(end, _latest(seen, end) + 1) - 1 - 8 * season]
        assert its.known[0, 0, step] == bool(nearest)
        if nearest:
            assert its.values[0, 0, step] == z[0, nearest[0]]


def _latest(seen: np.ndarray, end: int) -> int:
    """The place of the last value seen before the end, -1 for none."""
    places = np.flatnonzero(seen[0, :end])
    return int(places[-1]) if len(places) else -1


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 50), at=st.integers(PATCH, STEPS - 1))
def test_no_candidate_knows_what_comes_after_its_patch(seed: int, at: int) -> None:
    z, seen, seasons = made(seed, 0.1, 7, 28)
    changed, known = z.copy(), seen.copy()
    changed[0, at:], known[0, at:] = 9, True
    first = at // PATCH * PATCH  # the patch of the change may show it
    one, other = candidates(z, seen, seasons, ZERO), candidates(changed, known, seasons, ZERO)
    assert np.array_equal(one.values[..., :first], other.values[..., :first])
    assert np.array_equal(one.known[..., :first], other.known[..., :first])
    assert np.array_equal(one.record[..., : first // PATCH], other.record[..., : first // PATCH])


def test_a_record_is_how_far_off_each_candidate_was_in_the_patches_before() -> None:
    z, seen, seasons = made(3, 0.2, 7, 28)
    its = candidates(z, seen, seasons, ZERO)
    for patch in range(2, STEPS // PATCH):
        total, count = np.zeros(CANDIDATES), 0.0
        for earlier in range(1, patch + 1):
            for step in range(earlier * PATCH, (earlier + 1) * PATCH):
                if seen[0, step] and seen[0, : step + 1].sum() > PATCH:
                    weight = 0.8 ** (patch - earlier)
                    total += weight * np.abs(its.values[0, :, step - PATCH] - z[0, step])
                    count += weight
        assert np.allclose(its.record[0, :CANDIDATES, patch], np.log(total / count + 1e-3) / 3, atol=1e-5)


@pytest.mark.parametrize(("season", "long"), [(4, 1), (4, 28), (7, 1), (5, 10)])
def test_series_that_repeat_are_forecast_exactly(season: int, long: int) -> None:
    rng = np.random.default_rng(0)
    profile = rng.normal(size=max(season, long))
    y = np.tile(profile, 40)[None, :STEPS].astype(np.float32)
    seen = np.ones_like(y, bool)
    seen[:, -2 * PATCH :] = False
    its = candidates(np.where(seen, y, 0), seen, np.array([[season, long]]), ZERO)
    place = 2 * int(long > 1)  # the naive of the season that it repeats after
    early = STEPS - 3 * PATCH
    assert np.allclose(its.values[0, place, early : early + PATCH], y[0, early + PATCH : early + 2 * PATCH])
    both = its.values[0, 4, early : early + PATCH]  # with the change that the long season makes
    assert np.allclose(both, y[0, early + PATCH : early + 2 * PATCH], atol=1e-5)


def test_a_scale_is_undone() -> None:
    y = np.random.default_rng(0).normal(5, 3, (4, 50))
    seen = np.ones_like(y, bool)
    scale = Scale.of(y, seen)
    assert np.allclose(scale.undo(scale.apply(y, seen).astype(float)), y, atol=1e-5)


def test_a_constant_series_has_no_deviation() -> None:
    y = np.full((1, 30), 1e9)
    scale = Scale.of(y, np.ones_like(y, bool))
    assert scale.deviation[0, 0] == 0
    assert scale.undo(np.ones((1, 3)))[0].tolist() == [1e9] * 3


def test_facts_do_not_depend_on_what_is_not_seen() -> None:
    z, seen, seasons = made(0, 0.4, 7, 28)
    other = np.where(seen, z, 0).astype(np.float32)
    assert np.array_equal(facts(z, seen, seasons), facts(other, seen, seasons))
    assert candidates(z, seen, seasons, ZERO).values.shape == (1, CANDIDATES, STEPS)
