"""The unit that keeps the mean of the last season: its figures are those of the trace."""

import numpy as np
import polars as pl
import pytest

from memfold.explain import traced
from memfold.runtime.forecasting.windows import Places
from memfold.tasks import Forecaster
from memfold.tasks.forecast.memory import Memory, find_memory
from memfold.tasks.forecast.network import Window
from memfold.words import Words

CONTEXT, SEASON, HORIZON = 48, 4, 4


def walk() -> pl.DataFrame:
    """A season on a level that wanders."""
    rng = np.random.default_rng(1)
    level = 50 + np.cumsum(rng.normal(size=400))
    return pl.DataFrame({"ds": np.arange(400), "y": level + np.tile([0.0, 3.0, 5.0, 1.0], 100)})


@pytest.fixture(scope="module")
def model() -> Forecaster:
    model = Forecaster(horizon=HORIZON, seasons=(SEASON,), context=CONTEXT, hidden_size=16, members=2)
    return model.fit(walk(), budget="20ep", progress=False)


@pytest.fixture(scope="module")
def memory(model: Forecaster) -> Memory:
    return find_memory(model, model.read(walk()))


def test_its_steps_are_the_last_window_that_a_forecast_was_made_from(memory: Memory) -> None:
    frame = walk().head(400 - HORIZON)
    assert memory.steps["ds"].to_list() == frame["ds"].tail(CONTEXT).to_list()
    assert memory.steps["y"].to_list() == frame["y"].tail(CONTEXT).to_list()
    expected = [frame["y"][at - SEASON + 1 : at + 1].mean() for at in range(len(frame) - CONTEXT, len(frame))]
    np.testing.assert_allclose(memory.steps["mean"], expected)


def windows(model: Forecaster, layer: str) -> tuple[np.ndarray, np.ndarray]:
    """The cells of a layer and the means of the last season, over all windows before the last horizon."""
    arrays = model.arrays(model.read(walk()))
    y, cells, means = walk()["y"].to_numpy(), [], []
    for end in range(400 - HORIZON - 7 * CONTEXT, 400 - HORIZON + 1, CONTEXT):
        place = Places(np.array([0]), np.array([end]))
        window = Window.of(arrays.windows(place, model.size_, target=False))
        trace = traced(model.network_, lambda window=window: model.network_(window))
        cells.append(trace.layers[layer].values["c"])
        means += [y[max(at - SEASON + 1, 0) : at + 1].mean() for at in range(end - CONTEXT, end)]
    return np.concatenate(cells), np.array(means)


def test_the_correlation_is_that_of_the_half_on_which_the_unit_was_not_chosen(
    model: Forecaster, memory: Memory
) -> None:
    cells, means = windows(model, memory.layer)
    half = len(means) // 2
    expected = memory.follower.sign * np.corrcoef(cells[half:, memory.follower.unit], means[half:])[0, 1]
    assert memory.follower.score == pytest.approx(expected, abs=1e-4)
    sentence = memory.sentence()
    follows, steps = f"{memory.follower.score:.2f}", len(means) - half
    assert f"correlation of {follows} on the {steps} days that it was not chosen on" in sentence
    assert f"after {memory.half_life:.1f} days" in sentence
    assert f"{steps} 天里，它的记忆 c 与该均值的相关系数为 {follows}" in Words("zh").of(sentence)


def test_no_other_unit_of_any_member_followed_better_on_the_half_that_chose(model: Forecaster, memory: Memory) -> None:
    arrays = model.arrays(model.read(walk()))
    place = Places(np.array([0]), arrays.lengths - HORIZON)
    window = Window.of(arrays.windows(place, model.size_, target=False))
    layers = traced(model.network_, lambda: model.network_(window)).layers
    best = {}
    for name in layers:
        cells, means = windows(model, name)
        half = len(means) // 2
        best[name] = np.nanmax(np.abs([np.corrcoef(unit, means[:half])[0, 1] for unit in cells[:half].T]))
    assert len(best) == 2
    assert abs(memory.follower.found) == pytest.approx(max(best.values()), abs=1e-4)
    np.testing.assert_allclose(layers[memory.layer].values["c"][:, memory.follower.unit], memory.steps["cell"])


def test_the_chart_shows_series_mean_and_cell(memory: Memory) -> None:
    chart = memory.chart(Words())
    assert [len(mark.x) for mark in chart.marks] == [CONTEXT] * 3
    assert chart.marks[2].y.tolist() == memory.steps["cell"].to_list()
    right = chart.axes()[2]
    assert right is not None
    assert (right.least > right.greatest) == (memory.follower.sign < 0)


def test_a_model_that_reads_several_rows_at_a_step_is_refused() -> None:
    model = Forecaster(horizon=8, seasons=(8,), context=16, hidden_size=4).fit(walk(), budget="1ep", progress=False)
    with pytest.raises(ValueError, match="reads 2 rows at a step"):
        find_memory(model, model.read(walk()))
