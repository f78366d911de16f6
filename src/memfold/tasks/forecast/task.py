"""The Forecaster: fit one LSTM to many series, forecast with intervals, score beside the baselines."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.budget import Budget
from memfold.data.datasets import DataSet
from memfold.data.delimited import counted
from memfold.data.frames import like
from memfold.data.seasons import find_seasons
from memfold.data.sources import read_table
from memfold.data.splits import TimeSplit, with_column
from memfold.data.tables import (
    ID,
    TARGET,
    TIME,
    SeriesTable,
    read_series,
)
from memfold.data.workdays import NONE_OFF, DaysOff, step_in_words
from memfold.display import say
from memfold.errors import InputError
from memfold.runtime.forecasting.blend import LINEAR, Answer
from memfold.runtime.forecasting.blend import Parts as PartForecasts
from memfold.runtime.forecasting.covariates import Covariates
from memfold.runtime.forecasting.forecasting import QUANTILES, Forecasting
from memfold.runtime.forecasting.further import checked_levels, checked_steps, quantile_names, quantiles_at
from memfold.runtime.forecasting.size import LEVELS, NetworkSize, linear_shape, patch_of
from memfold.runtime.recipe import Run
from memfold.tasks.contest import Contest
from memfold.tasks.forecast.covariates import arrays_of, covariates_of
from memfold.tasks.forecast.given import going_on, past_and_ahead, with_rows_ahead
from memfold.tasks.forecast.plan import SeriesFacts, plan
from memfold.tasks.forecast.scores import MEAN, MODEL
from memfold.tasks.model import FitData, Task, one_source
from memfold.tasks.parameters import Search, fitted, learning_rate, parameter, planned
from memfold.tasks.planning import Plan, seconds_of
from memfold.tasks.report import Metric, Parts, Report
from memfold.words import Words

if TYPE_CHECKING:
    from memfold.runtime.forecasting.windows import SeriesArrays
    from memfold.tasks.forecast.network import Ensemble
    from memfold.tasks.forecast.windows import ForecastProblem

__all__ = ["LEVELS", "QUANTILES", "Forecaster"]

MOST_ORIGINS = 30  # of a known set that are scored
MOST_ENDS = 10_000  # series whose last times a model remembers
MOST_CONTEXT = 10**6  # steps: 256 windows of them are read at once

Array = NDArray[np.float64]


class Forecaster(Task):
    """Forecasts many series with one LSTM.

    >>> table = pl.DataFrame({"ds": range(200), "y": np.tile([1.0, 2.0, 3.0, 4.0], 50)})
    >>> model = Forecaster(horizon=4, seasons=(4,), hidden_size=8).fit(table, budget="2ep", progress=False)
    >>> model.predict(table)["forecast"].round(0).to_list()
    [1.0, 2.0, 3.0, 4.0]
    """

    name: ClassVar[str] = "forecast"
    metrics = (
        Metric("smape", "lower"),
        Metric("mase", "lower"),
        Metric("owa", "lower"),
        Metric("rmsse", "lower"),
        Metric("crps", "lower"),
        Metric("coverage80", "neither"),
    )
    kind = "regressor"
    needs = ("a table of series", "sales.csv")
    then = "memfold predict {out} {data} forecasts on"
    runtime = "forecaster"

    horizon: int | None = parameter(None, "steps to forecast; one season when none", least=1)
    seasons: Sequence[int] | None = parameter(
        None,
        "periods in steps after which series tend to repeat, the one for MASE and Naive2 first; when none, found from "
        "the time between rows (a day and a week for half-hourly data, a year for monthly ...), for integer times from "
        "the values",
        least=1,
    )
    context: int | None = parameter(
        None,
        "steps of the past the model sees; two of the longest season when none",
        least=1,
        most=MOST_CONTEXT,
    )
    past: Sequence[str] = parameter((), "columns with covariates that are known up to now only")
    future: Sequence[str] = parameter(
        (),
        "columns with covariates that are known ahead; to forecast, give their rows with an empty target, or in a file "
        "of their own",
    )
    static: Sequence[str] = parameter(
        (),
        "columns that are the same in all rows of a series, such as its region or size; texts become categories",
    )
    hidden_size: int | None = planned("units of the LSTM", least=1, search=Search(16, 256, log=True))
    num_layers: int = parameter(1, "layers of the LSTM", least=1, most=1000, search=(1, 2))
    dropout: float | None = planned("between layers and in the decoder", least=0, below=1, search=Search(0, 0.5))
    linear: bool | None = planned("whether to add a linear map of the past to the forecast", search=(False, True))
    members: int | None = planned(
        "networks to train side by side and average; several small ones suit a single short series",
        least=1,
        most=1000,
        search=(1, 2, 4),
    )
    pretrained: bool | None = planned(
        "whether the forecaster that comes with memfold has a part in the answer, as large as the validation part says"
    )
    lr: float = learning_rate(2e-3)
    batch_size: int = parameter(64, "windows in a step", least=1, search=(16, 64, 256))
    id: str = parameter(ID, "column with the series' names")
    time: str | None = parameter(
        None, "column with dates or integers; when none, ds, timestamp, time, date ..., or the one that holds dates"
    )
    target: str | None = parameter(
        None, "column with the values; when none, y or value, or the only other one with numbers"
    )
    dates: str | None = parameter(
        None, "how dates are written: day-first, month-first or a format such as %d.%m.%Y; none looks at them"
    )
    decimal: Literal[".", ","] | None = parameter(None, 'sign before a fraction, "." or ","; none looks at the numbers')
    encoding: str | None = parameter(None, "of text files; none looks at their bytes")
    sheet: str | None = parameter(None, "of a workbook; when none, the only one that holds anything")
    missing: Literal["error", "interpolate"] = parameter(
        "error", 'what to do about values that are not there: "error" or "interpolate"'
    )
    wide: bool | None = parameter(
        None, "whether each column of numbers is a series; none looks whether they are one quantity of several things"
    )
    every: str | None = parameter(
        None, "step to put uneven times on, such as 10m, 1h, 1d or 1mo: the mean of readings that meet, gaps filled"
    )
    holidays: str | None = parameter(
        None,
        "country, part of one or exchange whose holidays are known, such as US, DE-BY or NYSE; on those on which a "
        "series of workdays has no rows, none are forecast",
    )

    step_: str = fitted()
    seasons_: tuple[int, ...] = fitted()
    horizon_: int = fitted()
    context_: int = fitted()
    covariates_: Covariates = fitted()
    off_: DaysOff = fitted(absent=NONE_OFF)
    wide_: bool = fitted(absent=False)  # whether the table had a column for each series
    shares_: dict[str, float] = fitted()  # of the parts in the median
    mean_shares_: dict[str, float] = fitted()
    ends_: dict[str, int] = fitted()  # the last time of each series that the model was fitted to, in microseconds
    trained_: SeriesTable = fitted(stored=False)  # on; not of a loaded model
    network_: "Ensemble" = fitted(stored=False)

    # -- reading ---------------------------------------------------------------------------------------------

    def read(self, data: Any) -> SeriesTable:
        """The table in a file or a data frame, its columns as the parameters name them.

        Raises:
            InputError: naming file, row and column of what cannot be read.
        """
        covariates = (*self.past, *self.future)
        table = self._series(data)
        if table is not data and table.notes:
            say(f"{table.name}: {'; '.join(table.notes)}")
        there = {*table.covariates, *([] if table.static is None else table.static.columns)}
        for column in (*covariates, *self.static):  # of a table that was read before
            if column not in there:
                raise InputError(f"the series have no column {column!r}")
        return table

    def _series(self, data: Any) -> SeriesTable:
        return read_series(
            data,
            id=self.id,
            time=self.time,
            target=self.target,
            missing=self.missing,
            covariates=(*self.past, *self.future),
            static=self.static,
            dates=self.dates,
            decimal=self.decimal,
            encoding=self.encoding,
            sheet=self.sheet,
            every=self.every,
            **self._as_fitted(),
        )

    def _as_fitted(self) -> dict[str, Any]:
        """How to read what a fit has found out about its table; by the parameters where there was no fit."""
        if not hasattr(self, "covariates_"):
            return {"wide": self.wide, "holidays": self.holidays}
        wide = True if self.wide_ and self.target is None else self.wide
        return {"wide": wide, "step": self.step_, "off": self.off_, "words": set(self.covariates_.categories)}

    def labelled(self, X: Any, y: Any) -> SeriesTable:
        """Rows without the target, and the target; as one table."""
        return self.read(with_column(X, self.target or TARGET, y))

    def read_files(self, paths: Sequence[str]) -> SeriesTable:
        return self.read(one_source(paths))

    def known_parts(self, known: DataSet) -> Parts:
        split = known.load(self.get_params())
        _, horizon = self._seasons_and_horizon(split.train)
        fit_in = max(int((split.whole.lengths - split.train.lengths).min()) // horizon, 1)
        apart = -(-fit_in // MOST_ORIGINS)  # horizons between two origins
        return Parts(split.train, split.whole, scoring={"origins": -(-fit_in // apart), "origin_step": apart * horizon})

    def hold_out(self, examples: SeriesTable) -> tuple[SeriesTable, SeriesTable]:
        """All but the last horizon of every series, and all, for that horizon to be scored."""
        _, horizon = self._seasons_and_horizon(examples)
        train = examples.head(horizon)
        if not train.ids:
            raise InputError(f"no series is longer than the horizon of {horizon}, which is held out to be scored")
        return train, examples

    def split(self, examples: SeriesTable) -> tuple[SeriesTable, None]:
        """All of it: the end of every series, a tenth or one horizon, is held out where windows are cut."""
        return examples, None

    def splitter(self, n_splits: int = 3) -> TimeSplit:
        """Splits by time for scikit-learn, each of which scores one horizon; random rows make no series.

        Raises:
            InputError: there is no horizon yet.
        """
        horizon = getattr(self, "horizon_", None) or self.horizon
        if horizon is None:
            raise InputError("a split by time needs the horizon: give it, such as Forecaster(horizon=24)")
        return TimeSplit(n_splits, horizon, self.id, self.time)

    def summary(self, examples: SeriesTable) -> dict[str, str]:
        known, times = examples.known, examples.times
        first, last = times.written(pl.Series([known[TIME].min(), known[TIME].max()], dtype=known.schema[TIME]))
        series = f"{len(examples.ids):,} series" if len(examples.ids) > 1 else "1 series"
        lengths = examples.lengths
        span = f"{lengths.min():,}" if lengths.min() == lengths.max() else f"{lengths.min():,} to {lengths.max():,}"
        apart = step_in_words(examples.step).removeprefix("a ")
        read = {
            "rows": f"{known.height:,} in {series} of {span} rows",
            "times": f"{examples.titles[1]}, from {first} to {last}, every {apart}",
        }
        if examples.times.zone and not examples.times.clock:
            read["zone"] = examples.times.zone
        if columns := [*self.past, *self.future, *self.static]:
            read["covariates"] = ", ".join(columns)
        if examples.ahead.height:
            read["known ahead"] = f"{examples.ahead.height:,} rows without a value"
        return read

    def examine(self, examples: SeriesTable) -> None:
        ends = examples.known.group_by(ID, maintain_order=True).agg(pl.col(TIME).last().cast(pl.Int64))
        within = [name for name, end in ends.iter_rows() if name in self.ends_ and end <= self.ends_[name]]
        if not within:
            return
        of = (
            "every series" if len(within) == len(ends) else f"{len(within)} of {len(ends)} series, {within[0]!r} first,"
        )
        say(
            f"by names and times, the model was fitted to the last steps of {of} which are scored here; if these are "
            "the same rows, the scores flatter it"
        )

    # -- training --------------------------------------------------------------------------------------------

    def plan(self, train: SeriesTable, valid: SeriesTable | None, budget: Budget, speed: float) -> Plan:
        seasons, horizon = self._seasons_and_horizon(train)
        steps = self._context(seasons, horizon) // patch_of(seasons)
        facts = SeriesFacts(len(train.ids), int((train.lengths // horizon).sum()), steps, horizon)
        return plan(facts, seconds_of(budget, self.budget), speed)

    def prepare(self, data: FitData) -> Any:
        self.step_ = data.train.step
        self.seasons_, self.horizon_ = self._seasons_and_horizon(data.train)
        self.context_ = self._context(self.seasons_, self.horizon_)
        self.off_, self.wide_ = data.train.off, data.train.wide
        self.covariates_ = self._covariates(data.train)
        return self.arrays(data.train), None if data.valid is None else self.arrays(data.valid)

    def _covariates(self, table: SeriesTable) -> Covariates:
        if self.begun is None:
            return covariates_of(table, self.past, self.future, self.static)
        from memfold.tasks.forecast.update import covariates

        self.context_ = self.begun.model.context_
        return covariates(self, table)

    def network(self) -> "Ensemble":
        from memfold.tasks.forecast.network import Ensemble

        return Ensemble(self.size_, self.chosen.members)

    def problem(self, network: "Ensemble", ready: Any) -> "ForecastProblem":
        from memfold.tasks.forecast.windows import ForecastProblem

        train, valid = ready
        return ForecastProblem(network, train, valid, self.batch_size, self.seed)

    def finish(self, data: FitData, ready: Any) -> Contest:
        import torch

        from memfold.tasks.forecast.blending import blended

        self.trained_ = data.whole
        last = data.whole.known.group_by(ID, maintain_order=True).agg(pl.col(TIME).last().cast(pl.Int64))
        self.ends_ = dict(last.head(MOST_ENDS).iter_rows())
        result = blended(
            self.problem(self.network_, ready), self.covariates_.calendar.size, bool(self.chosen.pretrained)
        )
        self.shares_, self.mean_shares_ = dict(result.blend.shares), dict(result.blend.mean_shares)
        spread, stretch = torch.from_numpy(result.blend.spread), torch.from_numpy(result.blend.stretch)
        linear = None if result.weights is None else torch.from_numpy(result.weights)
        self.network_.keep(spread, stretch, linear)
        return result.contest

    def complete(self, network: "Ensemble") -> None:
        import torch

        if LINEAR in self.shares_ or LINEAR in self.mean_shares_:
            shape = linear_shape(network.size, self.covariates_.calendar.size)
            network.linear_weights = torch.zeros(shape, dtype=torch.float64)

    def _seasons_and_horizon(self, table: SeriesTable) -> tuple[tuple[int, ...], int]:
        if hasattr(self, "horizon_"):  # fitted
            return self.seasons_, self.horizon_
        seasons = tuple(self.seasons) if self.seasons else find_seasons(table)
        return seasons, seasons[0] if self.horizon is None else self.horizon

    def _context(self, seasons: Sequence[int], horizon: int) -> int:
        """Steps of the past that the network sees, whole patches.

        Raises:
            InputError: they do not hold a season.
        """
        context = self.context or 2 * max(*seasons, horizon)
        if context < max(seasons):
            raise InputError(f"context of {context} is shorter than the season of {max(seasons)}")
        if context > MOST_CONTEXT:
            raise InputError(f"two seasons of {max(seasons)} are {context} steps to see; give a context")
        patch = patch_of(seasons)
        return -(-max(context, horizon) // patch) * patch

    @cached_property
    def size_(self) -> NetworkSize:
        """The shapes of the network, by the parameters and by what fitting found."""
        return NetworkSize(
            self.context_,
            self.horizon_,
            patch_of(self.seasons_),
            self.seasons_,
            self.covariates_.past_size,
            self.covariates_.known_size,
            LEVELS,
            self.chosen.hidden_size,
            self.num_layers,
            self.chosen.dropout,
            self.chosen.linear,
            self.covariates_.static_size,
        )

    def check_restored(self) -> None:
        if self.horizon_ < 1 or min(self.seasons_, default=0) < 1:
            raise InputError(f"horizon {self.horizon_} and seasons {self.seasons_}, expected at least 1")
        least = max(*self.seasons_, self.horizon_)
        patch = patch_of(self.seasons_)
        if not least <= self.context_ <= MOST_CONTEXT + patch or self.context_ % patch:
            raise InputError(f"context {self.context_}, expected whole patches that hold a season and the horizon")
        covariates = self.covariates_
        columns = [column.name for column in covariates.static]
        named = (list(covariates.past), list(covariates.future), columns)
        if named != (list(self.past), list(self.future), list(self.static)):
            raise InputError("the columns that it was fitted to are not those of the parameters")

    def arrays(self, table: SeriesTable, ahead: int = 0) -> "SeriesArrays":
        """A table as the network reads it, with so many rows after each series' last value to forecast into."""
        return arrays_of(table, self.covariates_, ahead)

    # -- forecasting -----------------------------------------------------------------------------------------

    def predict(
        self,
        data: Any,
        future: Any = None,
        *,
        horizon: int | None = None,
        quantiles: Sequence[float] | None = None,
    ) -> pl.DataFrame:
        """Forecast the steps that follow each series' last value.

        Args:
            data: one path or several, a data frame or a `SeriesTable`.
            future: a path or a data frame with what is known of the time ahead, where it is not in ``data``.
            horizon: steps; those of the fit when None. More are forecast from its own forecasts.
            quantiles: levels between 0 and 1; nine from 0.1 to 0.9 when None.

        Returns:
            As `table` describes it; a frame of the kind that was given, with the columns of names and times called and
            the times written as they were.

        Raises:
            InputError: data that cannot be worked with.
        """
        table = self.read(data if future is None else with_rows_ahead(self, read_table(data), [read_table(future)]))
        self._say_new(table, horizon)
        forecast = self.forecast_table(table, horizon, quantiles)
        name, time = table.titles
        written = forecast.with_columns(table.times.written(forecast[TIME]).alias(TIME))
        return like(written.rename({ID: name, TIME: time}), data)

    def forecast_table(
        self, table: SeriesTable, horizon: int | None = None, quantiles: Sequence[float] | None = None
    ) -> pl.DataFrame:
        """What `table` describes, of series that have been read; ``horizon`` and ``quantiles`` are as for `predict`."""
        levels = checked_levels(quantiles)
        answer, parts = self.forecasts(table, horizon)
        result = self.table(table, answer)
        if quantiles is None:
            return result
        chosen = quantiles_at(answer.quantiles, levels, parts.counts).reshape(-1, len(levels))
        columns = [pl.Series(name, chosen[:, k]) for k, name in enumerate(quantile_names(levels))]
        return result.drop(QUANTILES).with_columns(columns)

    def _say_new(self, table: SeriesTable, horizon: int | None) -> None:
        """Say which series the model was not fitted to, which words it has not seen, and how far it goes on."""
        new = [name for name in table.ids if name not in self.ends_]
        if new and len(self.ends_) < MOST_ENDS and (len(self.ends_) > 1 or len(table.ids) > 1):
            which = ", ".join(map(repr, new[:3])) + (", ..." if len(new) > 3 else "")
            say(
                f"{table.name}: new to the model, and forecast as the others: {which} "
                f"({len(new):,} of {len(table.ids):,} series)"
            )
        columns = {name: table.frame[name].to_list() for name in self.covariates_.categories}
        for column, words in self.covariates_.unseen(columns).items():
            which = ", ".join(map(repr, words[:3])) + (", ..." if len(words) > 3 else "")
            say(f"{table.name}: column {column!r}: {which} not seen in the fit; counts as none of its words")
        last = table.times_after(1)[TIME].max()
        if self.off_.country and isinstance(last, datetime) and last.year > self.off_.until:
            say(f"holidays of {self.off_.country} are known up to {self.off_.until} alone; fit the model anew")
        if horizon is not None and horizon > self.horizon_:
            say(
                f"the model was fitted to {counted(self.horizon_, 'step')}; those beyond, up to {horizon:,}, are "
                "forecast from its own forecasts, with intervals that widen"
            )

    def forecasts(self, table: SeriesTable, horizon: int | None = None) -> tuple[Answer, PartForecasts]:
        """The answer to the steps that follow, and what each part makes of them; a row a series.

        Args:
            horizon: steps; those of the fit when None.

        Raises:
            InputError: the rows are not as far apart as those that the model was fitted to.
        """
        if table.step != self.step_:
            here, fitted_to = step_in_words(table.step), step_in_words(self.step_)
            raise InputError(f"the rows are {here} apart, those the model was fitted to {fitted_to}")
        pipeline: Any = self.pipeline
        forecasting: Forecasting = pipeline
        steps = checked_steps(horizon, self.horizon_, len(table.ids))
        return forecasting.reaching(arrays_of(table, self.covariates_, forecasting.rows_ahead(steps), steps), steps)

    def put_parts(self, pipeline: Any, parts: Mapping[str, Run]) -> None:
        pipeline.exported = parts["model"]

    def table(self, examples: SeriesTable, answers: Answer) -> pl.DataFrame:
        """Columns ``unique_id``, ``ds``, ``forecast`` (the median; of demand that comes now and then the mean),
        ``mean``, ``lo80`` and ``hi80`` (between which four of five values should fall), and the quantiles ``q10`` to
        ``q90``.
        """
        quantiles = answers.quantiles.reshape(-1, len(QUANTILES))
        result = examples.times_after(answers.point.shape[1]).with_columns(
            pl.Series(MODEL, answers.point.ravel()),
            pl.Series(MEAN, answers.mean.ravel()),
            *(pl.Series(name, quantiles[:, i]) for i, name in enumerate(QUANTILES)),
        )
        return result.select(
            ID, TIME, MODEL, MEAN, pl.col("q10").alias("lo80"), pl.col("q90").alias("hi80"), *QUANTILES
        )

    def answers(
        self, inputs: Sequence[str], *, horizon: int | None = None, quantiles: Sequence[float] | None = None
    ) -> pl.DataFrame:
        self._require_inputs(inputs)
        return self.predict(self.given(inputs), horizon=horizon, quantiles=quantiles)

    def given(self, inputs: Sequence[str]) -> Any:
        """What inputs hold to forecast from: a known set, or files of the past and of what is known ahead.

        Raises:
            InputError: they cannot be read, or do not go together.
        """
        if self.known_set(inputs):
            return self.parts(inputs).train
        return past_and_ahead(self, inputs)

    # -- scores ----------------------------------------------------------------------------------------------

    def backtest(
        self, data: Any, origins: int = 1, origin_step: int | None = None, baselines: bool = True
    ) -> pl.DataFrame:
        """Forecast the ends of the series from several origins, as if what follows were not known.

        Args:
            origins: how many; the last is one horizon before the end.
            origin_step: steps between two; a horizon when None.
            baselines: also those of the baselines.

        Returns:
            As `predict`, with ``cutoff`` (the time of the last value seen), ``y`` and a column a baseline.
        """
        from memfold.tasks.forecast.backtest import backtested

        return backtested(self, self.read(data), origins, origin_step, baselines)

    def answer(self, examples: SeriesTable, *, origins: int = 1, origin_step: int | None = None) -> pl.DataFrame:
        """What `backtest` returns."""
        return self.backtest(examples, origins, origin_step)

    def scores(self, examples: SeriesTable, answers: pl.DataFrame) -> dict[str, float]:
        from memfold.tasks.forecast.scores import NAIVE2, mean_scores, point_scores, quantile_scores

        known = examples.known.select(ID, TIME, TARGET)
        points = point_scores(answers, known, self.seasons_[0], [MODEL, NAIVE2])[MODEL]
        points |= mean_scores(answers, known, [MEAN])[MEAN]
        return points | (quantile_scores(answers, LEVELS, QUANTILES) if QUANTILES[0] in answers.columns else {})

    def baselines(self, examples: SeriesTable, answers: pl.DataFrame) -> dict[str, pl.DataFrame]:
        from memfold.tasks.forecast.backtest import baselines_of

        return baselines_of(answers)

    def report_on(self, forecasts: pl.DataFrame, table: SeriesTable, name: str = "") -> Report:
        """The report on what `backtest` returned for a table."""
        metrics = self.scores(table, forecasts)
        beside = {other: self.scores(table, its) for other, its in self.baselines(table, forecasts).items()}
        better = {metric.name: metric.better for metric in self.metrics}
        return Report(self.name, name, metrics, beside, self.parameter_count, self.seed, better=better)

    def write_page(
        self, path: Path, report: Report, examples: SeriesTable, answers: pl.DataFrame, words: Words
    ) -> None:
        from memfold.tasks.forecast.report import write_report  # which loads what draws

        title = words("forecasts of", data=words.of(report.data) or words("the series"))
        write_report(path, title, self, examples, answers, {"": report}, words)

    # -- for scikit-learn ------------------------------------------------------------------------------------

    def score(self, X: Any, y: Any = None) -> float:
        """Minus the sMAPE of the forecasts of rows that follow those that the model was trained on.

        Where all series are demand that comes now and then, of which sMAPE says nothing, minus the RMSSE.

        Args:
            X: whole series, or such rows alone; several horizons of them are forecast one after another. A loaded model
                does not know its rows any more and forecasts the last horizon.
            y: the values, where they are not among the columns.

        Raises:
            InputError: a series has less than a horizon of them, as after a random split of rows.
        """
        from memfold.tasks.forecast.scores import NAIVE2, mean_scores, point_scores

        if not hasattr(self, "trained_"):
            table, origins = self._examples(X, y), 1
        else:
            table, rows = going_on(self, X if y is None else with_column(X, self.target or TARGET, y))
            counts = dict.fromkeys(rows[ID], 0) | dict(rows.filter("new").group_by(ID).len().iter_rows())
            name, count = min(counts.items(), key=lambda item: item[1])
            if count < self.horizon_:
                raise InputError(
                    f"series {name!r} has {count} rows after those that the model was trained on, the horizon is "
                    f"{self.horizon_}; split rows by time: cv=model.splitter()"
                )
            origins = count // self.horizon_
        forecasts = self.backtest(table, origins, baselines=False).with_columns(pl.col(MODEL).alias(NAIVE2))
        known = table.known.select(ID, TIME, TARGET)
        percent = point_scores(forecasts, known, self.seasons_[0], [MODEL, NAIVE2])[MODEL]["smape"]
        return -percent if math.isfinite(percent) else -mean_scores(forecasts, known, [MEAN])[MEAN]["rmsse"]

    def array(self, X: Any) -> NDArray[Any]:
        """Forecasts of rows that follow those that the model was trained on, in their order.

        Args:
            X: a data frame of them; what their target holds is not looked at.

        Raises:
            InputError: a row that is not among the next ``horizon`` steps of its series.
        """
        if not hasattr(self, "trained_"):
            raise InputError("a loaded model does not know the rows it was trained on; use predict with whole series")
        table, rows = going_on(self, with_column(X, self.target or TARGET, [None] * len(X)))
        joined = rows.join(self.forecast_table(table), on=[ID, TIME], how="left", maintain_order="left")
        missing = joined.filter(pl.col(MODEL).is_null())
        if missing.height:
            row = missing.row(0, named=True)
            raise InputError(
                f"series {row[ID]!r}: {row[TIME]} is not among the {self.horizon_} steps after the rows that the model "
                "was trained on; split rows by time: cv=model.splitter()"
            )
        return joined[MODEL].to_numpy()
