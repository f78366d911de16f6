"""How unusual the points of series are: by a model, by its errors alone, by what it is compared with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.data.readings import ID, Readings
from memfold.runtime.monitoring.monitor import Judgement
from memfold.runtime.monitoring.news import News
from memfold.tasks.anomaly.nab import Scored

__all__ = ["Judged", "as_written", "by_errors_alone", "by_model", "by_scores", "judged_table", "scored"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """How unusual every point of some series is.

    Attributes:
        scores: 0 to 1, of each series (N,).
        news: the same, in which a burst counts once for each of its points.
        faults: 0 to 1, a score that stays up while a fault lasts.
        alarms: whether a point is one.
        skipped: points at each series' start that are not scored.
        judgements: what the scores come from; a baseline has none.
    """

    scores: list[Array]
    news: list[Array]
    faults: list[Array]
    alarms: list[NDArray[np.bool_]]
    skipped: list[int]
    judgements: list[list[Judgement]]


def by_model(judgements: list[list[Judgement]], skipped: list[int], is_alarm: Callable[[Judgement], bool]) -> Judged:
    """What a model says of series."""
    return Judged(
        [np.array([j.score for j in row]) for row in judgements],
        [np.array([j.news for j in row]) for row in judgements],
        [np.array([j.fault for j in row]) for row in judgements],
        [np.array([is_alarm(j) for j in row], bool) for row in judgements],
        skipped,
        judgements,
    )


def by_errors_alone(judged: Judged, rest: int, limit: float) -> Judged:
    """What the errors alone say, of the network or of what predicts in its place.

    Args:
        rest: points after an alarm during which only a more unusual one is an alarm too.
        limit: the score above which a point is an alarm.
    """
    scores = [np.array([j.score_alone for j in row]) for row in judged.judgements]
    news = [np.array(list(map(News(rest), row.tolist()))) for row in scores]
    faults = [np.array([j.fault_alone for j in row]) for row in judged.judgements]
    return Judged(scores, news, faults, [row > limit for row in news], judged.skipped, [])


def by_scores(scores: list[Array], skipped: list[int], limit: float) -> Judged:
    """What a detector says that has one score a point, which is an alarm above a limit."""
    return Judged(scores, scores, scores, [row > limit for row in scores], skipped, [])


def judged_table(
    series: Readings, judgements: Sequence[Judgement], variables: Sequence[str], is_alarm: Callable[[Judgement], bool]
) -> pl.DataFrame:
    """What a model says of one series, a row a point, with the columns that `AnomalyDetector.table` names."""
    time = pl.Series("ds", series.times)
    moments = (time * 1e6).round().cast(pl.Int64).cast(pl.Datetime("us")) if series.dates else time.cast(pl.Int64)
    columns: dict[str, Any] = {
        ID: [series.name] * len(judgements),
        "ds": moments,
        "score": [j.score for j in judgements],
        "alarm": [is_alarm(j) for j in judgements],
        "reason": [j.reason for j in judgements],
        "fault": [j.fault for j in judgements],
        "variable": [None if j.variable < 0 else variables[j.variable] for j in judgements],
        "sigmas": [None if j.variable < 0 else j.sigmas for j in judgements],
    }
    for k, name in enumerate(variables):
        columns |= {f"expected_{name}": [j.expected[k] for j in judgements]}
        columns |= {f"lo80_{name}": [j.low[k] for j in judgements], f"hi80_{name}": [j.high[k] for j in judgements]}
    return pl.DataFrame(columns)


def as_written(table: pl.DataFrame, series: Sequence[Readings]) -> pl.DataFrame:
    """A table with its times as those of the series were, where all of them were written in one way."""
    ways = {one.written for one in series}
    if len(ways) > 1:
        return table
    return table.with_columns(ways.pop().written(table["ds"]).alias("ds"))


def scored(series: Sequence[Readings], scores: Sequence[Array], skipped: Sequence[int]) -> list[Scored]:
    """Scores with the anomalies that do not end before what is scored begins."""
    return [
        Scored(score, [window for window in one.windows or () if window[1] >= skip], skip)
        for one, score, skip in zip(series, scores, skipped, strict=True)
    ]
