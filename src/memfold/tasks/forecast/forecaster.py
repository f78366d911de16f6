"""The Forecaster: fit one LSTM to many series, forecast with intervals, score beside the baselines."""

import hashlib
import time as clock
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import polars as pl
import torch
from torch import nn

from memfold.data.datasets import load_split
from memfold.data.tables import ID, TARGET, TIME, SeriesTable, read_series, split_interval
from memfold.errors import InputError
from memfold.files import check_file
from memfold.tasks.base import Parts, Report, Task, one_source
from memfold.tasks.forecast.baselines import baseline_forecasts
from memfold.tasks.forecast.covariates import Covariates
from memfold.tasks.forecast.network import Ensemble, NetworkSize
from memfold.tasks.forecast.scores import MODEL, point_scores, quantile_scores
from memfold.tasks.forecast.windows import ForecastProblem, SeriesTensors
from memfold.training import Budget, Settings

__all__ = ["Forecaster"]

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
QUANTILES = tuple(f"q{round(100 * level)}" for level in LEVELS)
MOST_ORIGINS = 30  # of a known set that are scored


class Forecaster(Task):
    """Forecasts many series with one LSTM.

    Args:
        horizon: steps to forecast; one season when None.
        seasons: periods in steps after which series tend to repeat, the one for MASE and Naive2 first; found from the
            time between rows when None (a day and a week for half-hourly data, a year for monthly, ...; none for
            integer times).
        context: steps of the past the model sees; two of the longest season when None.
        past: columns with covariates that are known up to now only.
        future: columns with covariates that are known ahead; to forecast, give their rows with an empty target.
        static: columns that are the same in all rows of a series, such as its region or size; texts become categories.
        hidden_size: units of the LSTM.
        num_layers: layers of the LSTM.
        dropout: between layers and in the decoder.
        linear: whether a linear map of the past adds to the forecast: for long series that go on much as they did.
        members: networks to train side by side and average; several small ones suit a single short series.
        lr: peak learning rate.
        batch_size: windows in a step.
        patience: stop after so many of the 20 validations without a better one; None uses the whole budget.
        id: column with the series' names.
        time: column with dates or integers.
        target: column with the values.
        missing: what to do about values that are not there: "error" or "interpolate".
        seed: of the initial weights, the windows and dropout.

    >>> table = pl.DataFrame({"ds": range(200), "y": np.tile([1.0, 2.0, 3.0, 4.0], 50)})
    >>> model = Forecaster(horizon=4, seasons=(4,), hidden_size=8).fit(table, budget="2ep", progress=False)
    >>> model.predict(table)["forecast"].round(0).to_list()
    [1.0, 2.0, 3.0, 4.0]
    """

    name: ClassVar[str] = "forecast"

    def __init__(
        self,
        horizon: int | None = None,
        seasons: Sequence[int] | None = None,
        context: int | None = None,
        past: Sequence[str] = (),
        future: Sequence[str] = (),
        static: Sequence[str] = (),
        hidden_size: int = 128,
        num_layers: int = 1,
        dropout: float = 0.1,
        linear: bool = False,
        members: int = 1,
        lr: float = 2e-3,
        batch_size: int = 64,
        patience: int | None = None,
        id: str = ID,
        time: str = TIME,
        target: str = TARGET,
        missing: Literal["error", "interpolate"] = "error",
        seed: int = 0,
    ) -> None:
        self.horizon = horizon
        self.seasons = seasons
        self.context = context
        self.past = past
        self.future = future
        self.static = static
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.dropout = dropout
        self.linear = linear
        self.members = members
        self.lr = lr
        self.batch_size = batch_size
        self.patience = patience
        self.id = id
        self.time = time
        self.target = target
        self.missing = missing
        self.seed = seed

    # -- reading ---------------------------------------------------------------------------------------------

    def read(self, data: Any) -> SeriesTable:
        """The table in a file or a data frame, its columns as the parameters name them.

        Raises:
            InputError: naming file, row and column of what cannot be read.
        """
        covariates = (*self.past, *self.future)
        table = read_series(
            data,
            id=self.id,
            time=self.time,
            target=self.target,
            missing=self.missing,
            covariates=covariates,
            static=self.static,
        )
        there = {*table.covariates, *([] if table.static is None else table.static.columns)}
        for column in (*covariates, *self.static):  # of a table that was read before
            if column not in there:
                raise InputError(f"the series have no column {column!r}")
        return table

    def read_files(self, paths: Sequence[str]) -> SeriesTable:
        return self.read(one_source(paths))

    def parts(self, data: Sequence[str]) -> Parts:
        if known := self.known_set(data):
            split = load_split(known.name)
            _, horizon = self._seasons_and_horizon(split.train)
            fit_in = max(int((split.whole.lengths - split.train.lengths).min()) // horizon, 1)
            apart = -(-fit_in // MOST_ORIGINS)  # horizons between two origins
            scoring = {"origins": -(-fit_in // apart), "every": apart * horizon}
            return Parts(split.train, split.whole, scoring=scoring)
        name = one_source(data)
        table = self.read(name)
        _, horizon = self._seasons_and_horizon(table)
        train = table.head(horizon)
        if not train.ids:
            raise InputError(
                f"{name}: no series is longer than the horizon of {horizon}, which is held out to be scored"
            )
        return Parts(train, table)

    # -- fitting ---------------------------------------------------------------------------------------------

    def fit(
        self,
        data: Any,
        budget: str = "3m",
        valid: Any = None,
        *,
        out: str | Path | None = None,
        resume: bool = False,
        progress: bool = True,
    ) -> Self:
        """Fit the model to the series.

        Args:
            data: a path, a data frame or a `SeriesTable`.
            budget: minutes of training such as ``3m``, or epochs such as ``20ep``.
            valid: series to validate on; the end of every series (a tenth, or one horizon) when None.
            out: folder in which to keep a checkpoint.
            resume: go on from the checkpoint there.
            progress: show it on standard error.

        Raises:
            InputError: data or parameters that cannot be worked with.
        """
        limit = Budget.parse(budget)
        table = self.read(data)
        vars(self).pop("size_", None)  # of an earlier fit
        self._find_shapes(table)
        torch.manual_seed(self.seed)
        network = Ensemble(self.size_, self.members)
        tensors = self.tensors(table)
        held_out = None if valid is None else self.tensors(self.read(valid))
        problem = ForecastProblem(network, tensors, held_out, self.batch_size, self.seed)
        settings = Settings(limit, lr=self.lr, patience=self.patience)
        identity = {"budget": budget, "data": _hash(tensors)}
        self._train(problem, settings, identity, None if out is None else Path(out), resume, progress)
        return self

    def _seasons_and_horizon(self, table: SeriesTable) -> tuple[tuple[int, ...], int]:
        if hasattr(self, "size_"):  # fitted
            return self.seasons_, self.size_.horizon
        seasons = tuple(self.seasons) if self.seasons else _seasons(table)
        return seasons, seasons[0] if self.horizon is None else self.horizon

    def _find_shapes(self, table: SeriesTable) -> None:
        self.step_ = table.step
        seasons, horizon = self._seasons_and_horizon(table)
        self._check()
        self.seasons_, self.covariates_ = seasons, Covariates.of(table, self.past, self.future, self.static)
        self.size_ = self._size(seasons, horizon, self.covariates_)

    def _check(self) -> None:
        self._check_least(dict.fromkeys(("members", "hidden_size", "num_layers", "batch_size"), 1))
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout must be from 0 to below 1, got {self.dropout}")

    def _size(self, seasons: tuple[int, ...], horizon: int, covariates: Covariates) -> NetworkSize:
        for name, value in (("horizon", horizon), ("seasons", min(seasons, default=0))):
            if value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")
        patch = max(1, seasons[0] // 4)
        context = self.context or 2 * max(*seasons, horizon)
        if context < max(seasons):
            raise InputError(f"context of {context} is shorter than the season of {max(seasons)}")
        context = -(-max(context, horizon) // patch) * patch
        return NetworkSize(
            context,
            horizon,
            patch,
            seasons,
            len(self.past),
            covariates.known_size,
            LEVELS,
            self.hidden_size,
            self.num_layers,
            self.dropout,
            self.linear,
            covariates.static_size,
        )

    def tensors(self, table: SeriesTable, ahead: int = 0) -> SeriesTensors:
        """A table as the network reads it, with so many rows after each series' last value to forecast into."""
        return SeriesTensors.of(table, self.covariates_, ahead)

    # -- forecasting -----------------------------------------------------------------------------------------

    @torch.no_grad()
    def predict(self, data: Any) -> pl.DataFrame:
        """Forecast the steps that follow each series' last value.

        Returns:
            Columns ``unique_id``, ``ds``, ``forecast`` (the median), ``lo80`` and ``hi80`` (between which four of five
            values should fall), and the quantiles ``q10`` to ``q90``.

        Raises:
            InputError: data that cannot be worked with.
        """
        self._check_fitted()
        table = self.read(data)
        if table.step != self.step_:
            raise InputError(f"the rows are {table.step} apart, those the model was fitted to {self.step_}")
        size = self.size_
        tensors = self.tensors(table, size.horizon)
        series = torch.arange(len(tensors.lengths))
        self.network_.eval()
        parts = []
        for block in torch.split(series, 256):
            quantiles, level, scale = self.network_(tensors.windows(block, tensors.lengths[block], size, target=False))
            ordered = (
                quantiles.mean(0).double().sort(-1).values
            )  # rearranged where they cross (Chernozhukov et al. 2010)
            parts.append(ordered * scale[..., None] + level[..., None])
        values = torch.cat(parts).reshape(-1, len(LEVELS)).numpy()
        result = table.times_after(size.horizon).with_columns(
            pl.Series(name, values[:, i]) for i, name in enumerate(QUANTILES)
        )
        return result.select(
            ID, TIME, pl.col("q50").alias(MODEL), pl.col("q10").alias("lo80"), pl.col("q90").alias("hi80"), *QUANTILES
        )

    def next_command(self, out: Path, data: Sequence[str]) -> str:
        return f"memfold predict {out} {data[0]} forecasts on"

    def answers(self, inputs: Sequence[str]) -> pl.DataFrame:
        return self.predict(self.parts(inputs).train if self.known_set(inputs) else one_source(inputs))

    def backtest(self, data: Any, origins: int = 1, every: int | None = None, baselines: bool = True) -> pl.DataFrame:
        """Forecast the ends of the series from several origins, as if what follows were not known.

        Args:
            origins: how many; the last is one horizon before the end.
            every: steps between two; a horizon when None.
            baselines: also those of the baselines.

        Returns:
            As `predict`, with ``cutoff`` (the time of the last value seen), ``y`` and a column a baseline.
        """
        table = self.read(data)
        horizon, every = self.size_.horizon, every or self.size_.horizon
        parts = []
        for origin in reversed(range(origins)):
            history = table.head(horizon + origin * every)
            if not len(history.ids):
                raise InputError(f"no series is longer than the {horizon + origin * every} steps to be scored")
            if self.future:
                ahead = table.known.filter(pl.col(ID).is_in(history.ids)).with_columns(
                    pl.lit(None, pl.Float64).alias(TARGET)
                )
                rows = ahead.join(history.frame, on=[ID, TIME], how="anti")
                history = replace(history, frame=pl.concat([history.frame, rows]).sort(ID, TIME))
            forecast = self.predict(history)
            if baselines:
                others = baseline_forecasts(history, horizon, self.seasons_)
                forecast = pl.concat([forecast, others.select(pl.exclude(ID, TIME))], how="horizontal")
            cutoff = history.known.group_by(ID).agg(pl.col(TIME).max().alias("cutoff"))
            parts.append(forecast.join(cutoff, on=ID).join(table.known.select(ID, TIME, TARGET), on=[ID, TIME]))
        return pl.concat(parts)

    def evaluate(
        self,
        data: Any,
        name: str = "",
        origins: int = 1,
        every: int | None = None,
        report: str | Path | None = None,
    ) -> Report:
        """Score the model beside the baselines on the ends of the series.

        Args:
            data: the series with the values to be scored at their ends.
            name: what to call the data in the report.
            origins, every: as for `backtest`.
            report: HTML file to write for a person to look at: the forecasts of some series from every origin, the
                errors by origin and by step ahead, the scores.

        Raises:
            InputError: data that cannot be worked with, or a report that cannot be written.
        """
        begun = clock.monotonic()
        self._check_fitted()
        if report is not None:
            check_file(Path(report))
        table = self.read(data)
        forecasts = self.backtest(table, origins, every)
        outcome = self.score(forecasts, table, name)
        if report is not None:
            from memfold.tasks.forecast.report import write_report  # which loads what draws

            write_report(Path(report), f"Forecasts of {name or 'the series'}", self, table, forecasts, {name: outcome})
        outcome.seconds = clock.monotonic() - begun
        return outcome

    def score(self, forecasts: pl.DataFrame, table: SeriesTable, name: str = "") -> Report:
        """The report on what `backtest` returned for a table."""
        baselines = [
            c for c in forecasts.columns if c not in {ID, TIME, TARGET, "cutoff", MODEL, "lo80", "hi80", *QUANTILES}
        ]
        train = table.known.select(ID, TIME, TARGET)
        scores = point_scores(forecasts, train, self.seasons_[0], [MODEL, *baselines])
        metrics = scores.pop(MODEL) | quantile_scores(forecasts, LEVELS, QUANTILES)
        return Report(self.name, name, metrics, scores, self.parameter_count, self.seed)

    # -- models on disk --------------------------------------------------------------------------------------

    @classmethod
    def fitted_types(cls) -> dict[str, Any]:
        return {"step": str, "seasons": list[int], "size": NetworkSize, **Covariates.json_types()}

    def fitted_state(self) -> dict[str, Any]:
        return {
            "step": self.step_,
            "seasons": self.seasons_,
            "size": self.size_.as_json(),
            **self.covariates_.as_json(),
        }

    def restore_fitted(self, state: dict[str, Any]) -> nn.Module:
        self.step_, self.seasons_ = state["step"], tuple(state["seasons"])
        self.covariates_ = Covariates.from_json(state, self.past, self.future)
        columns = [column.name for column in self.covariates_.static]
        if columns != list(self.static) or self.covariates_.scaling.keys() != {*self.past, *self.future}:
            raise InputError("the columns that it was fitted to are not those of the parameters")
        scales = [deviation for _, deviation in self.covariates_.scaling.values()]
        if min([*scales, *(column.deviation for column in self.covariates_.static)], default=1.0) <= 0:
            raise InputError("a column's deviation is not above 0")
        size = state["size"] | {"lags": tuple(state["size"]["lags"]), "quantiles": tuple(state["size"]["quantiles"])}
        self.size_ = NetworkSize(**size)
        if self.size_ != (found := self._size(self.seasons_, self.size_.horizon, self.covariates_)):
            raise InputError(f"the size is {self.size_}, but the parameters and seasons give {found}")
        return Ensemble(self.size_, self.members)


def _seasons(table: SeriesTable) -> tuple[int, ...]:
    """Periods in steps that the calendar suggests and the longest series covers twice; (1,) where it suggests none."""
    if table.frame.schema[TIME].is_integer():
        return (1,)
    count, unit = split_interval(table.step)
    seconds = {"us": 1e-6, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
    if unit in seconds:
        periods = [86400, 604800] if unit not in ("d", "w") else [604800] if unit == "d" else [52 * 604800]
        steps = [period / (count * seconds[unit]) for period in periods]
    else:
        steps = [12 / count] if unit == "mo" else [1]
    longest = int(table.lengths.max())
    found = tuple(int(s) for s in steps if s == int(s) and 1 < s <= longest / 2)
    return found or (1,)


def _hash(tensors: SeriesTensors) -> str:
    digest = hashlib.sha256()
    for tensor in (tensors.y, tensors.past, tensors.known, tensors.static, tensors.lengths):
        digest.update(np.ascontiguousarray(tensor.numpy()).tobytes())
    return digest.hexdigest()
