"""Forecasting beside neuralforecast's LSTM: the same series and the same time to learn, each as its makers set it."""

import logging
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import polars as pl

from memfold.bench.peers import TimedCall
from memfold.bench.timing import describe_machine, medians
from memfold.budget import Budget
from memfold.data.datasets import SeriesSplit, dataset, load_split
from memfold.data.tables import ID, TARGET, TIME
from memfold.errors import InputError
from memfold.tasks.forecast.baselines import naive2
from memfold.tasks.forecast.scores import MEAN, MODEL, NAIVE2
from memfold.tasks.forecast.task import LEVELS, QUANTILES, Forecaster

__all__ = ["series"]

DATA = "m4-hourly"
NO_LIMIT = 10**9  # steps: the time ends the training
SPEEDS = ("windows_per_second", "series_per_second")


def series(budget: str = "60s", rounds: int = 5) -> dict[str, Any]:
    """Fit the Forecaster and neuralforecast's LSTM to M4 hourly in the same time, score both, and time their forecasts.

    Both learn from all but the last 48 hours of the 414 series, see two weeks of the past, and give nine quantiles of
    the 48 hours, which are scored once. memfold is set as ``memfold fit forecast @m4-hourly`` sets it: one layer of 128
    units over patches, 64 windows a step; a tenth of each series is held out to keep the best weights by.
    neuralforecast has its documented defaults but for horizon, input and loss, which must be given: two layers of 128
    units, windows scaled by median and interquartile range, 128 windows a step, Adam with a constant rate of 1e-3. It
    learns from all and keeps the last weights: to validate and stop early is for those who ask for it.

    Args:
        budget: time to train for each, from the first step to the last, validation included.
        rounds: turns that each has at forecasting.

    Returns:
        ``machine``; ``data``; ``budget_seconds``; ``points``, one for each measure with its value for ``memfold``,
        ``neuralforecast`` and, where it has one, ``Naive2``: the scores of the 48 hours, the weights, the steps made,
        the windows trained on in a second of the budget, and the series forecast in a second, from a data frame to a
        data frame of quantiles (the median call). The two speeds have a ``ratio``, memfold's to neuralforecast's.

    Raises:
        InputError: the budget is not a time.
    """
    seconds = Budget.parse(budget).seconds
    if seconds is None:
        raise InputError(f"budget {budget!r}: series needs a time such as 60s, for two models to have the same")
    return {
        "machine": describe_machine(),
        "data": f"@{DATA}",
        "budget_seconds": seconds,
        "points": _points(load_split(DATA), Forecaster(**dataset(DATA).parameters), seconds, rounds),
    }


def _points(split: SeriesSplit, model: Forecaster, seconds: float, rounds: int) -> list[dict[str, Any]]:
    train = split.train.known.select(ID, TIME, TARGET)
    model.fit(split.train, budget=f"{seconds}s", progress=False)
    peer = _NeuralForecast(train, split.train.step, model, seconds)
    calls: dict[str, TimedCall] = {
        "memfold": lambda: model.predict(train),
        "neuralforecast": lambda: peer.predict(train),
    }
    scores = _scores(model, split, {name: call() for name, call in calls.items()})
    taken = medians(calls, rounds)
    training = model.training_
    count = len(split.train.ids)
    scores["memfold"] |= {
        "parameters": model.parameter_count,
        "steps": training.steps,
        "windows_per_second": round(training.units / training.seconds),
        "series_per_second": round(count / taken["memfold"]),
    }
    scores["neuralforecast"] |= {
        "parameters": peer.parameter_count,
        "steps": peer.steps,
        "windows_per_second": round(peer.windows / peer.seconds),
        "series_per_second": round(count / taken["neuralforecast"]),
    }
    points: list[dict[str, Any]] = []
    for measure, ours in scores["memfold"].items():
        point: dict[str, Any] = {"measure": measure}
        point |= {name: values[measure] for name, values in scores.items() if measure in values}
        if measure in SPEEDS:
            point["ratio"] = ours / scores["neuralforecast"][measure]
        points.append(point)
    return points


def _scores(
    model: Forecaster, split: SeriesSplit, forecasts: Mapping[str, pl.DataFrame]
) -> dict[str, dict[str, float]]:
    """Scores of forecasts of what the whole table has more than the training part, and those of Naive2.

    Args:
        model: the fitted one, whose seasons and horizon are those of the scores.
        forecasts: by name, with columns ``unique_id``, ``ds`` and those of the quantiles.
    """
    horizon, season = model.size_.horizon, model.seasons_[0]
    known = split.train.known
    last = known.group_by(ID, maintain_order=True).agg(pl.col(TIME).last().alias("cutoff"))
    naive = np.concatenate([naive2(y, horizon, season) for y in split.train.values])
    ahead = split.train.times_after(horizon).with_columns(pl.Series(NAIVE2, naive)).join(last, on=ID)
    ahead = ahead.join(split.whole.known.select(ID, TIME, TARGET), on=[ID, TIME])
    scores = {}
    for name, forecast in forecasts.items():
        mean = pl.col(MEAN if MEAN in forecast.columns else "q50").alias(MEAN)
        shown = forecast.select(ID, TIME, pl.col("q50").alias(MODEL), mean, *QUANTILES)
        report = model.report_on(ahead.join(shown, on=[ID, TIME]), split.whole)
        scores[name] = report.metrics
    return scores | report.baselines


class _NeuralForecast:
    """Their LSTM, fitted for a time.

    Args:
        train: columns ``unique_id``, ``ds`` and ``y``.
        step: the time between two rows.
        model: whose horizon, context and quantiles it shares.
        seconds: from the first step to the last.
    """

    def __init__(self, train: pl.DataFrame, step: str, model: Forecaster, seconds: float) -> None:
        from neuralforecast import NeuralForecast
        from neuralforecast.losses.pytorch import MQLoss
        from neuralforecast.models import LSTM
        from pytorch_lightning import Callback, Trainer

        self.steps, self.seconds = 0, 0.0
        outer = self

        class Clock(Callback):  # type: ignore[misc]
            """Ends the training when the time is over."""

            def on_train_start(self, trainer: Trainer, *module: object) -> None:
                self.begun = time.perf_counter()

            def on_train_batch_end(self, trainer: Trainer, *batch: object) -> None:
                outer.steps += 1
                outer.seconds = time.perf_counter() - self.begun
                trainer.should_stop = outer.seconds >= seconds

        trainer: dict[str, Any] = {
            "accelerator": "cpu",
            "logger": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "callbacks": [Clock()],
        }
        size = model.size_
        with _quiet():
            loss = MQLoss(quantiles=list(LEVELS))
            lstm = LSTM(size.horizon, size.context, loss=loss, max_steps=NO_LIMIT, **trainer)
            self.forecaster = NeuralForecast([lstm], freq=int(step) if step.isdigit() else step)
            self.forecaster.fit(train)
        (fitted,) = self.forecaster.models
        self.windows = self.steps * fitted.windows_batch_size
        self.parameter_count = sum(p.numel() for p in fitted.parameters())

    def predict(self, train: pl.DataFrame) -> pl.DataFrame:
        """The quantiles of what follows, under memfold's names."""
        with _quiet():
            forecast: pl.DataFrame = self.forecaster.predict(df=train)
        renamed = dict(zip(forecast.columns[2:], QUANTILES, strict=True))  # theirs rise too
        return forecast.rename(renamed).with_columns(pl.col(QUANTILES).cast(pl.Float64))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what Lightning says of devices and workers."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
