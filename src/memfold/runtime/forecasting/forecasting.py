"""A forecaster of series that answers without torch."""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memfold.data.workdays import NONE_OFF, DaysOff, next_workdays, step_in_words, weekdays_of
from memfold.errors import InputError, shown
from memfold.runtime.forecasting.blend import LINEAR, PRETRAINED, Answer, Blend, Parts
from memfold.runtime.forecasting.classical import classical_names
from memfold.runtime.forecasting.covariates import Covariates
from memfold.runtime.forecasting.demand import TSB
from memfold.runtime.forecasting.further import checked_levels, checked_steps, further, quantile_names, quantiles_at
from memfold.runtime.forecasting.network import EnsembleForecasts
from memfold.runtime.forecasting.parts import HISTORY, Quantiles, parts_at
from memfold.runtime.forecasting.size import LEVELS, NetworkSize, linear_shape, patch_of
from memfold.runtime.forecasting.windows import WINDOWS_AT_ONCE, Places, SeriesArrays
from memfold.runtime.pipeline import Pipeline, Session
from memfold.runtime.recipe import ALONE, Run
from memfold.runtime.weights import Weights

__all__ = ["QUANTILES", "ForecastSettings", "Forecasting"]

QUANTILES = tuple(f"q{round(100 * level)}" for level in LEVELS)
NAME, TIME, VALUE = "unique_id", "ds", "y"
FIXED: dict[str, tuple[int, Any]] = {
    "w": (7, "D"),
    "d": (1, "D"),
    **{unit: (1, unit) for unit in ("h", "m", "s", "ms", "us")},
}
MONTHS = {"mo": 1, "q": 3, "y": 12}


@dataclass(frozen=True)
class ForecastSettings:
    """What a forecaster is made of beside its weights; its parameters, and what fitting found, by their names there."""

    horizon: int
    seasons: tuple[int, ...]
    context: int
    step: str
    covariates: Covariates
    shares: dict[str, float]
    mean_shares: dict[str, float]
    hidden_size: int
    num_layers: int
    members: int
    linear: bool
    id: str
    time: str | None
    target: str | None
    off: DaysOff = NONE_OFF

    def __post_init__(self) -> None:
        least = min(self.horizon, self.context, self.hidden_size, self.num_layers, self.members)
        if least < 1 or min(self.seasons, default=0) < 1:
            raise InputError("a size is below 1")
        if self.context < max(*self.seasons, self.horizon) or self.context % patch_of(self.seasons):
            raise InputError(f"context {self.context}, expected whole patches that hold a season and the horizon")
        for shares in (self.shares, self.mean_shares):
            unknown = shares.keys() - {ALONE, LINEAR, PRETRAINED, TSB, *classical_names(self.seasons)}
            if unknown or ALONE not in shares or min(shares.values()) < 0 or not 0.99 < sum(shares.values()) < 1.01:
                raise InputError(f"the shares are not those of parts that the model has: {shown(sorted(shares))}")
        covariates = self.covariates
        named = [*covariates.scaling, *covariates.categories]
        if sorted(named) != sorted({*covariates.past, *covariates.future}):
            raise InputError("the columns that are scaled, and those of words, are not the covariates")
        _ = self.off.closed_days, np.array(covariates.calendar.holidays, "datetime64[D]")  # which no text else is
        scales = [deviation for _, deviation in covariates.scaling.values()]
        if min([*scales, *(column.deviation for column in covariates.static)], default=1.0) <= 0:
            raise InputError("a column's deviation is not above 0")

    @property
    def size(self) -> NetworkSize:
        """The shapes of the network."""
        covariates = self.covariates
        return NetworkSize(
            self.context,
            self.horizon,
            patch_of(self.seasons),
            self.seasons,
            covariates.past_size,
            covariates.known_size,
            LEVELS,
            self.hidden_size,
            self.num_layers,
            0.0,
            self.linear,
            covariates.static_size,
        )


class Forecasting(Pipeline[ForecastSettings]):
    """Forecasts what follows the last values of series.

    Attributes:
        network: gives the quantiles of windows.
        exported: the whole model as a part that was exported, which then gives the answers.
    """

    settings_type = ForecastSettings
    network: Quantiles
    exported: Run | None = None

    def build(self, weights: Weights, files: Mapping[str, bytes]) -> None:
        its = self.settings
        self.size, self.calendar = its.size, its.covariates.calendar.size
        self.network = EnsembleForecasts(weights, self.size, its.members)
        has_linear = LINEAR in its.shares or LINEAR in its.mean_shares
        shape = linear_shape(self.size, self.calendar) if has_linear else (its.horizon, 0)
        linear = weights.take("linear_weights", shape, np.float64)
        self.linear = linear if has_linear else None
        spread = weights.take("spread", (its.horizon, len(LEVELS)), np.float64)
        stretch = weights.take("stretch", (len(LEVELS),), np.float64)
        self.blend = Blend(its.shares, its.mean_shares, spread, stretch)

    def parts(self, data: SeriesArrays, places: Places) -> Parts:
        """What each part of the answer makes of what follows these places."""
        bundled = PRETRAINED in self.settings.shares or PRETRAINED in self.settings.mean_shares
        weights, calendar = self.linear, self.calendar
        return parts_at(self.network, data, places, self.size, weights, calendar, target=False, pretrained=bundled)

    def forecasts(self, data: SeriesArrays) -> tuple[Answer, Parts]:
        """The answer to what follows every series' last value, a row a series, and what each part makes of it."""
        parts = self.parts(data, data.ends())
        if self.exported is not None:
            return self._exported_answer(self.exported, data), parts
        return self.blend.answer(parts), parts

    def _exported_answer(self, run: Run, data: SeriesArrays) -> Answer:
        blocks = []
        for places in data.ends().split(WINDOWS_AT_ONCE):
            windows = data.windows(places, self.size, target=False)
            beside = {name: getattr(windows, name) for name in ("past", "known", "static")}
            read = {name: array for name, array in beside.items() if array.shape[-1]}
            blocks.append(run(y=data.histories(places, HISTORY), **read))
        quantiles, mean, forecast = (
            np.concatenate([block[name] for block in blocks]) for name in ("quantiles", "mean", "forecast")
        )
        return Answer(quantiles, mean, forecast)

    def reaching(self, data: SeriesArrays, horizon: int) -> tuple[Answer, Parts]:
        """As `forecasts`, of so many steps.

        Args:
            data: with rows for whole horizons of the fit after every series.
        """
        if horizon == self.settings.horizon:
            return self.forecasts(data)
        return further(self.forecasts, data, horizon, self.settings.horizon)

    def rows_ahead(self, horizon: int) -> int:
        """The rows after a series that so many steps take: whole horizons of the fit."""
        return -(-horizon // self.settings.horizon) * self.settings.horizon

    def answer(
        self,
        given: Mapping[str, Sequence[Any]],
        *,
        horizon: int | None = None,
        quantiles: Sequence[float] | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Forecast the steps that follow each series' last value.

        Args:
            given: columns by name, as a table has them: times (``ds``, or what they were called in training), evenly
                apart; values (``y`` likewise); where there are several series, their names (``unique_id``); and the
                covariates. Times are whole numbers, or dates as ISO texts, as Python's or as NumPy's. Rows of
                covariates that are known ahead have no value: None or NaN.
            horizon: steps; those of the fit when None. More are forecast from its own forecasts.
            quantiles: levels between 0 and 1; nine from 0.1 to 0.9 when None.

        Returns:
            Columns ``unique_id``, ``ds``, ``forecast`` (the median; of demand that comes now and then the mean),
            ``mean``, ``lo80`` and ``hi80``, and the quantiles, such as ``q10`` to ``q90``.

        Raises:
            InputError: a column or a value is missing, or the times are not as far apart as those in training.
        """
        levels = checked_levels(quantiles)
        steps = checked_steps(horizon, self.settings.horizon, 1)
        series = self._series(given, steps)
        checked_steps(steps, self.settings.horizon, len(series))
        answer, parts = self.reaching(self._arrays(series, self.rows_ahead(steps)), steps)
        outer = answer.quantiles[..., [0, -1]].reshape(-1, 2)
        chosen = quantiles_at(answer.quantiles, levels, parts.counts).reshape(-1, len(levels))
        return {
            NAME: np.repeat([one.name for one in series], steps),
            TIME: np.concatenate([one.times[one.known : one.known + steps] for one in series]),
            "forecast": answer.point.ravel(),
            "mean": answer.mean.ravel(),
            "lo80": outer[:, 0],
            "hi80": outer[:, 1],
            **dict(zip(quantile_names(levels), chosen.T, strict=True)),
        }

    def open(self) -> Session:
        raise InputError("a forecast model does not answer line by line; use memfold predict")

    # -- columns as arrays -----------------------------------------------------------------------------------

    def _series(self, given: Mapping[str, Sequence[Any]], steps: int) -> "list[_Series]":
        """The series in columns, in the order of their names, each with its times ahead, ``steps`` of which are asked
        for."""
        its = self.settings
        times = _times(_column(given, its.time or TIME, TIME), self.integer_times)
        values = _numbers(_column(given, its.target or VALUE, VALUE), VALUE)
        wanted = [*its.covariates.past, *its.covariates.future]
        columns = {
            name: (_words if name in its.covariates.categories else _numbers)(_column(given, name), name)
            for name in wanted
        }
        for column, words in its.covariates.unseen({name: of.tolist() for name, of in columns.items()}).items():
            which = ", ".join(map(shown, words[:3]))
            warnings.warn(f"column {column!r}: {which} not seen in the fit; as none of its words", stacklevel=3)
        static = {column.name: list(_column(given, column.name)) for column in its.covariates.static}
        name = its.id if its.id in given else NAME
        names = [str(one) for one in given[name]] if name in given else [VALUE] * len(times)
        lengths = {len(times), len(values), len(names), *(map(len, columns.values())), *(map(len, static.values()))}
        if len(lengths) > 1 or not len(times):
            raise InputError(f"columns of {', '.join(map(str, sorted(lengths)))} rows, expected as many in each")
        month_ends = _month_ends(times)
        days = np.unique(times.astype("datetime64[D]")) if weekdays_of(its.step) else None
        result = []
        for one in sorted(set(names)):
            rows = np.flatnonzero(np.array(names) == one)
            rows = rows[np.argsort(times[rows], kind="stable")]
            its_columns = {column: of[rows] for column, of in columns.items()}
            texts = {column: of[rows[0]] for column, of in static.items()}
            result.append(self._with_ahead(one, times[rows], month_ends, days, values[rows], its_columns, texts, steps))
        return result

    def _with_ahead(
        self,
        name: str,
        times: NDArray[Any],
        month_ends: bool,
        days: NDArray[Any] | None,
        values: NDArray[np.float64],
        columns: dict[str, Any],
        static: dict[str, Any],
        steps: int,
    ) -> "_Series":
        """A series whose times go on over the rows ahead; ``days`` are those of all series, of workdays."""
        horizon = self.rows_ahead(steps)
        there = np.flatnonzero(~np.isnan(values))
        if not len(there):
            raise InputError(f"series {name!r} has no value")
        known = int(there[-1]) + 1
        if np.isnan(values[:known]).any():
            row = int(np.flatnonzero(np.isnan(values[:known]))[0])
            raise InputError(f"series {name!r} has no value at {times[row]}, which is before its last one")
        if days is None:
            expected = times_from(times[0], self.settings.step, known + horizon, month_ends=month_ends)
        else:
            expected = self._workdays(times[:known], days, horizon)
        inside = min(len(times), len(expected))  # rows ahead may go further than is asked for
        if (times[:inside] != expected[:inside]).any():
            apart = step_in_words(self.settings.step)
            raise InputError(f"series {name!r}: its times are not {apart} apart, as those that the model was fitted to")
        longer = {}
        for column, of in columns.items():
            is_words = column in self.settings.covariates.categories
            rest = np.full(len(expected) - inside, None if is_words else np.nan)
            longer[column] = np.concatenate([of[:inside], rest])
            asked = longer[column][known : known + steps]
            missing = any(value is None or value != value for value in asked)
            if column in self.settings.covariates.future and missing:
                raise InputError(
                    f"series {name!r} has no {column!r} for the {steps} steps to forecast; a covariate known ahead "
                    "must be given for them, in rows without a value"
                )
        return _Series(name, expected, values[:known], longer, static)

    def _workdays(self, times: NDArray[Any], days: NDArray[Any], horizon: int) -> NDArray[Any]:
        """The times that a series of workdays should have: on the days of all series, and those ahead."""
        mask, clock = weekdays_of(self.settings.step), times[0] - times[0].astype("datetime64[D]")
        assert mask is not None
        its_days = days[(days >= times[0]) & (days <= times[-1])] if clock == 0 else times.astype("datetime64[D]")
        its_days = its_days[np.is_busday(its_days, mask)]
        ahead = next_workdays(times[-1], horizon, mask, self.settings.off.closed_days)
        return np.concatenate([its_days.astype("datetime64[us]") + clock, ahead])

    def _arrays(self, series: "list[_Series]", horizon: int) -> SeriesArrays:
        covariates = self.settings.covariates
        times = np.concatenate([one.times for one in series])
        wanted = [*covariates.past, *covariates.future]
        columns = {name: np.concatenate([one.columns[name] for one in series]) for name in wanted}
        filled = [np.concatenate([one.values, np.zeros(horizon)]) for one in series]
        lengths = np.array([one.known for one in series])
        texts = {column.name: [one.static[column.name] for one in series] for column in covariates.static}
        return SeriesArrays(
            np.concatenate(filled),
            covariates.past_features(columns, len(times)),
            covariates.known_features(times, columns),
            covariates.static_features(texts, [one.name for one in series]),
            np.cumsum(lengths + horizon) - lengths - horizon,
            lengths,
        )

    @property
    def integer_times(self) -> bool:
        """Whether times are whole numbers."""
        return self.settings.step.lstrip("-").isdigit()


@dataclass(frozen=True)
class _Series:
    """One series.

    Attributes:
        times: of its values and of the horizon after them.
        values: without gaps.
        columns: of covariates, as long as the times.
        static: what is the same throughout.
    """

    name: str
    times: NDArray[Any]
    values: NDArray[np.float64]
    columns: dict[str, NDArray[Any]]
    static: dict[str, Any]

    @property
    def known(self) -> int:
        """The number of its values."""
        return len(self.values)


def times_from(first: Any, step: str, count: int, *, month_ends: bool = False) -> NDArray[Any]:
    """So many times, a step apart.

    Args:
        first: a whole number, or a datetime64.
        step: a whole number, or an interval as Polars writes it, such as ``30m`` or ``1mo``.
        month_ends: where a step is so many months, whether the times are the last days of these.

    >>> times_from(np.datetime64("2024-01-31"), "1mo", 3).astype("datetime64[D]").tolist()
    [datetime.date(2024, 1, 31), datetime.date(2024, 2, 29), datetime.date(2024, 3, 31)]
    """
    steps = np.arange(count)
    if step.lstrip("-").isdigit():
        return np.asarray(first + steps * int(step), np.int64)
    match = re.fullmatch(r"(\d+)([a-z]+)", step)
    if match is None or match[2] not in {*FIXED, *MONTHS}:
        raise InputError(f"a step of {shown(step)}")
    number, unit = int(match[1]), match[2]
    start = np.datetime64(first, "us")
    if unit in FIXED:
        size, of = FIXED[unit]
        return np.asarray(start + steps * np.timedelta64(number * size, of))
    # Of months the day stays, or is the month's last.
    month = start.astype("datetime64[M]")
    day, clock = start.astype("datetime64[D]") - month.astype("datetime64[D]"), start - start.astype("datetime64[D]")
    months = month + steps * number * MONTHS[unit]
    last = (months + 1).astype("datetime64[D]") - months.astype("datetime64[D]") - 1
    return np.asarray(months.astype("datetime64[D]") + (last if month_ends else np.minimum(day, last)) + clock)


def _month_ends(times: NDArray[Any]) -> bool:
    """Whether times are dates that all are the last days of their months; as a table is read, those of all series."""
    if times.dtype.kind != "M":
        return False
    days = times.astype("datetime64[D]")
    return bool(((days + 1).astype("datetime64[M]") > days.astype("datetime64[M]")).all())


def _column(given: Mapping[str, Sequence[Any]], *names: str) -> Sequence[Any]:
    for name in names:
        if name in given:
            return given[name]
    raise InputError(f"there is no column {names[0]!r}; there is {', '.join(given)}")


def _times(column: Sequence[Any], integers: bool) -> NDArray[Any]:
    values = np.asarray(column)
    if integers:
        if values.dtype.kind not in "iu":
            raise InputError("times that are no whole numbers, which those in training were")
        return values.astype(np.int64)
    try:
        if values.dtype.kind == "M":
            return values.astype("datetime64[us]")
        return np.array([_date(value) for value in column], "datetime64[us]")
    except (ValueError, TypeError):
        raise InputError("times that are no dates as ISO 8601 writes them, such as 2024-01-31T12:00") from None


def _date(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    return datetime.fromisoformat(value).replace(tzinfo=None)


def _words(column: Sequence[Any], name: str) -> NDArray[Any]:
    """Texts; None where a row has none, which of rows ahead says that it is not known."""
    words = [None if value is None or value != value else str(value).strip() for value in column]
    return np.array(words, object)


def _numbers(column: Sequence[Any], name: str) -> NDArray[np.float64]:
    try:
        return np.array([np.nan if value is None else float(value) for value in column])
    except (ValueError, TypeError):
        raise InputError(f"column {name!r} holds something that is no number") from None
