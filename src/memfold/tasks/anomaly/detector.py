"""The AnomalyDetector: learn what a series usually does, then tell point by point what is unusual."""

import copy
import hashlib
import json
import time as clock
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from memfold.data.datasets import find
from memfold.data.readings import ID, Readings, load_nab, read_readings
from memfold.errors import InputError
from memfold.tasks.anomaly.baselines import GAUSSIAN, windowed_gaussian
from memfold.tasks.anomaly.events import event_table, folder_table
from memfold.tasks.anomaly.features import Features, FeatureSize
from memfold.tasks.anomaly.learning import Learner
from memfold.tasks.anomaly.lines import LineReader
from memfold.tasks.anomaly.monitor import Judgement, Monitor
from memfold.tasks.anomaly.nab import Scored
from memfold.tasks.anomaly.network import AnomalyProblem, Predictor, PredictorSize
from memfold.tasks.anomaly.scores import scores
from memfold.tasks.base import Parts, Report, Task
from memfold.training import Budget, Settings

__all__ = ["AnomalyDetector"]

Array = NDArray[np.float64]

TO_JSON = json.JSONEncoder(ensure_ascii=False).encode
KEPT = 2000  # last points of every series that a saved model remembers


class AnomalyDetector(Task):
    """Tells which readings are unusual: an LSTM foretells every point, its errors are compared with the usual ones.

    Args:
        time: column with dates or integers; None looks for ds, timestamp, time ...
        values: columns with the values; none looks for y or value.
        label: column that is 1 in an anomaly, to be scored with; None looks for label, anomaly ...
        id: column with the series' names.
        warm_up: share of every series at its start that is learnt from and not scored.
        most_warm_up: points of it at most.
        false_alarms: how many a thousand points may bring by chance.
        span: points over which errors are averaged; 1 for single spikes, more for what lasts.
        rest: points after an alarm during which only a more unusual one is an alarm of its own.
        hidden_size: units of the LSTM.
        online: go on learning while watching.
        every: points between two steps of that.
        window: points of a window that is learnt from.
        batch_size: windows in a step.
        lr: peak learning rate; a quarter of it while watching.
        patience: stop after so many of the 20 validations without a better one; None uses the whole budget.
        seed: of the initial weights and the windows.

    >>> day = np.sin(np.arange(600) * 0.3)
    >>> day[500] = 4.0
    >>> table = pl.DataFrame({"ds": range(600), "y": day})
    >>> model = AnomalyDetector(hidden_size=8).fit(table[:400], budget="20ep", progress=False)
    >>> int(model.predict(table)["score"][400:].arg_max()) + 400
    500
    """

    name: ClassVar[str] = "anomaly"
    network_: Predictor

    def __init__(
        self,
        time: str | None = None,
        values: Sequence[str] = (),
        label: str | None = None,
        id: str = ID,
        warm_up: float = 0.3,
        most_warm_up: int = 100_000,
        false_alarms: float = 0.1,
        span: int = 5,
        rest: int = 50,
        hidden_size: int = 32,
        online: bool = True,
        every: int = 16,
        window: int = 64,
        batch_size: int = 16,
        lr: float = 4e-3,
        patience: int | None = 5,
        seed: int = 0,
    ) -> None:
        self.time = time
        self.values = values
        self.label = label
        self.id = id
        self.warm_up = warm_up
        self.most_warm_up = most_warm_up
        self.false_alarms = false_alarms
        self.span = span
        self.rest = rest
        self.hidden_size = hidden_size
        self.online = online
        self.every = every
        self.window = window
        self.batch_size = batch_size
        self.lr = lr
        self.patience = patience
        self.seed = seed

    # -- reading ---------------------------------------------------------------------------------------------

    def read(self, data: Any) -> list[Readings]:
        """The series in a file or a data frame.

        Raises:
            InputError: naming file, row and column of what cannot be read.
        """
        if isinstance(data, list) and all(isinstance(one, Readings) for one in data):
            return data
        return read_readings(data, time=self.time, values=self.values, label=self.label, id=self.id)

    def read_files(self, paths: Sequence[str]) -> list[Readings]:
        return [one for path in paths for one in self.read(path)]

    def parts(self, data: Sequence[str]) -> Parts:
        known = self.known_set(data)
        series = load_nab(find(known.name)) if known else self.read_files(data)
        return Parts([one.head(self.warm_rows(one)) for one in series], series)

    def warm_rows(self, series: Readings) -> int:
        """How many rows at a series' start are its warm-up."""
        return min(int(self.warm_up * len(series.times)), self.most_warm_up)

    # -- fitting ---------------------------------------------------------------------------------------------

    def fit(
        self,
        data: Any,
        budget: str = "1m",
        valid: Any = None,
        *,
        out: str | Path | None = None,
        resume: bool = False,
        progress: bool = True,
    ) -> Self:
        """Learn what is usual from series that hold few anomalies or none; one network serves all of them.

        Args:
            data: a path, a data frame, or what `read_files` gave.
            budget: minutes of training such as ``1m``, or epochs such as ``20ep``.
            valid: series to validate on; the last fifth of each when None.
            out: folder in which to keep a checkpoint.
            resume: go on from the checkpoint there.
            progress: show it on standard error.

        Raises:
            InputError: data or parameters that cannot be worked with.
        """
        limit = Budget.parse(budget)
        self._check()
        series = self.read(data)
        self.variables_, dates = series[0].variables, series[0].dates
        self.size_ = FeatureSize(len(self.variables_), dates)
        for one in self._same(series):
            if len(one.times) == 0:
                raise InputError(f"{one.name}: too few rows to learn from any")
        torch.manual_seed(self.seed)
        network = Predictor(self._shape())
        learnt = [self._tensors(one) for one in series]
        held_out = None if valid is None else [self._tensors(one) for one in self._same(self.read(valid))]
        problem = AnomalyProblem(network, learnt, held_out, self.window, self.batch_size, self.seed)
        settings = Settings(limit, lr=self.lr, patience=self.patience)
        digest = hashlib.sha256(b"".join(part.numpy().tobytes() for pair in learnt for part in pair)).hexdigest()
        self._train(
            problem, settings, {"budget": budget, "data": digest}, None if out is None else Path(out), resume, progress
        )
        self.history_ = [_History.of(one) for one in series]
        for name in ("_lines", "_live"):  # of an earlier fit
            vars(self).pop(name, None)
        return self

    def _shape(self) -> PredictorSize:
        return PredictorSize(self.size_.count, self.size_.variables, self.hidden_size)

    def _check(self) -> None:
        self._check_least(dict.fromkeys(("hidden_size", "every", "window", "batch_size", "span", "rest"), 1))
        for name in ("window", "batch_size"):
            if (value := getattr(self, name)) > KEPT:
                raise InputError(f"{name} must be at most {KEPT}, the points that are kept to learn from, got {value}")
        for name in ("warm_up", "false_alarms"):
            if not 0 < (value := getattr(self, name)) < (1 if name == "warm_up" else 1000):
                raise InputError(f"{name} must be above 0 and below {1 if name == 'warm_up' else 1000}, got {value}")

    def _tensors(self, series: Readings) -> tuple[Tensor, Tensor]:
        """Features (N, F) and targets (N, V)."""
        features = Features(self.size_, series.day)
        rows = [
            (features.next(time), features.add(values))
            for time, values in zip(series.times.tolist(), series.values.tolist(), strict=True)
        ]
        x, target = zip(*rows, strict=True)
        return torch.tensor(x), torch.tensor(target)

    # -- watching --------------------------------------------------------------------------------------------

    def monitor(self, day: int = 0) -> Monitor:
        """A monitor that has seen nothing yet, of a series with so many points a day."""
        self._check_fitted()
        network = self.network_
        if not self.online:
            return Monitor(self.size_, day, network.stream(), self.span, self.rest)
        own = copy.deepcopy(network)
        learner = Learner(own, self.every, self.window, self.batch_size, self.lr / 4, self.seed)
        return Monitor(self.size_, day, own.stream(), self.span, self.rest, learner)

    def watch(self, series: Readings) -> Iterator[Judgement]:
        """Judge a series from its first point to its last."""
        monitor = self.monitor(series.day)
        return map(monitor.step, series.times.tolist(), series.values.tolist())

    def is_alarm(self, judgement: Judgement) -> bool:
        """Whether a judgement is an alarm: as unusual as `false_alarms` allows, and news."""
        return judgement.news > 0 and judgement.probability < self.false_alarms / 1000

    def predict(self, data: Any) -> pl.DataFrame:
        """Judge every point of series.

        Returns:
            Columns ``unique_id``, ``ds``, ``score`` (0 to 1), ``alarm``, ``variable`` (the least probable one) and
            ``sigmas`` (how far it is from what was expected), and for every variable ``expected_``, ``lo80_`` and
            ``hi80_`` with its name.

        Raises:
            InputError: data that cannot be worked with.
        """
        self._check_fitted()
        return pl.concat([self._table(one) for one in self._same(self.read(data))])

    def _same(self, series: list[Readings]) -> list[Readings]:
        for one in series:
            if one.variables != self.variables_ or one.dates != self.size_.calendar:
                had = f"{', '.join(self.variables_)} over {'dates' if self.size_.calendar else 'numbers'}"
                has = f"{', '.join(one.variables)} over {'dates' if one.dates else 'numbers'}"
                raise InputError(f"{one.name}: the model is fitted to {had}, this has {has}")
        return series

    def _table(self, series: Readings) -> pl.DataFrame:
        judged = list(self.watch(series))
        time = pl.Series("ds", series.times)
        columns: dict[str, Any] = {
            ID: [series.name] * len(judged),
            "ds": (time * 1e6).cast(pl.Int64).cast(pl.Datetime("us")) if series.dates else time.cast(pl.Int64),
            "score": [j.score for j in judged],
            "alarm": [self.is_alarm(j) for j in judged],
            "variable": [self.variables_[j.variable] for j in judged],
            "sigmas": [j.sigmas for j in judged],
        }
        for k, name in enumerate(self.variables_):
            columns |= {f"expected_{name}": [j.expected[k] for j in judged]}
            columns |= {f"lo80_{name}": [j.low[k] for j in judged], f"hi80_{name}": [j.high[k] for j in judged]}
        return pl.DataFrame(columns)

    def answers(self, inputs: Sequence[str]) -> pl.DataFrame:
        if not inputs:
            raise InputError("predict needs a file of readings: memfold predict MODEL readings.csv")
        data = self.parts(inputs).test if self.known_set(inputs) else self.read_files(inputs)
        return self.predict(data)

    def respond(self, line: str) -> Iterator[str]:
        self._check_fitted()
        reading = self._lines.read(line)
        if reading is None:  # a header, or nothing
            return
        monitor = self._live_monitor(reading.name)
        judgement = monitor.step(reading.time, reading.values)
        yield TO_JSON({**reading.shown, **self._said(judgement)})

    @cached_property
    def _lines(self) -> LineReader:
        return LineReader(self.variables_, self.size_.calendar, self.time, self.id)

    @cached_property
    def _live(self) -> dict[str, Monitor]:
        """The monitors of the series that are being streamed, by name."""
        return {}

    def _live_monitor(self, name: str) -> Monitor:
        """The monitor of a series: one that has seen the end of what was learnt, if the series was learnt."""
        if name not in self._live:
            only = not name and len(self.history_) == 1
            known = next((one for one in self.history_ if only or one.name == name), None)
            monitor = self.monitor(known.day if known else 0)
            for time, values in zip(known.times, known.values, strict=True) if known else ():
                monitor.step(time, values)
            self._live[name] = monitor
        return self._live[name]

    def _said(self, judgement: Judgement) -> dict[str, Any]:
        """A judgement as a line of JSON has it."""
        return {
            "score": round(judgement.score, 4),
            "alarm": self.is_alarm(judgement),
            "variable": self.variables_[judgement.variable],
            "sigmas": _short(judgement.sigmas),
            "expected": _short(judgement.expected[judgement.variable]),
            "lo80": _short(judgement.low[judgement.variable]),
            "hi80": _short(judgement.high[judgement.variable]),
        }

    def next_command(self, out: Path, data: Sequence[str]) -> str:
        return f"memfold stream {out} < readings.csv judges what comes, line by line"

    # -- scores ----------------------------------------------------------------------------------------------

    def evaluate(self, data: Any, name: str = "") -> Report:
        """Watch series from their first point and score what follows the warm-up, beside a windowed Gaussian.

        Args:
            data: as for `fit`, whole series.
            name: what to call them in the report.

        Returns:
            With labels: the benchmark's three scores, VUS-PR and the best F1. Always: alarms a thousand points.

        Raises:
            InputError: not fitted, or data that cannot be worked with.
        """
        self._check_fitted()
        begun = clock.monotonic()
        series = self._same(self.read(data))
        judged = [list(self.watch(one)) for one in series]
        warm = [self.warm_rows(one) for one in series]
        events = [
            (one, row, judgements[row])
            for one, judgements, first in zip(series, judged, warm, strict=True)
            for row in range(first, len(judgements))
            if self.is_alarm(judgements[row])
        ]
        points = sum(len(one.times) - first for one, first in zip(series, warm, strict=True))
        metrics = {"alarms_per_1000": 1000 * len(events) / max(points, 1)}
        gaussian = [windowed_gaussian(one.values) for one in series]
        quiet = [g[first:] > 1 - self.false_alarms / 2000 for g, first in zip(gaussian, warm, strict=True)]
        baseline = {"alarms_per_1000": 1000 * sum(int(q.sum()) for q in quiet) / max(points, 1)}
        shown: list[Any] = [event_table(events, self.variables_)]
        if any(one.windows for one in series):
            each, news = (
                _scored(series, [np.array([getattr(j, what) for j in judgements]) for judgements in judged], warm)
                for what in ("score", "news")
            )
            others = _scored(series, gaussian, warm)
            metrics |= scores(each, news)
            baseline |= scores(others, others)
            if any("/" in one.name for one in series):
                shown.append(folder_table([one.name for one in series], news))
        report = Report(self.name, name, metrics, {GAUSSIAN: baseline}, self.parameter_count, self.seed)
        report.shown = shown
        report.seconds = clock.monotonic() - begun
        return report

    # -- models on disk --------------------------------------------------------------------------------------

    @classmethod
    def fitted_types(cls) -> dict[str, Any]:
        return {"variables": list[str], "size": FeatureSize, "history": list[_History]}

    def fitted_state(self) -> dict[str, Any]:
        return {
            "variables": self.variables_,
            "size": self.size_.as_json(),
            "history": [asdict(one) for one in self.history_],
        }

    def restore_fitted(self, state: dict[str, Any]) -> nn.Module:
        self.variables_, self.size_ = tuple(state["variables"]), FeatureSize(**state["size"])
        self.history_ = [_History(**one) for one in state["history"]]
        width = self.size_.variables
        self._check_agree(("variables", len(self.variables_), width))
        for one in self.history_:
            self._check_agree(("values of the history", len(one.values), len(one.times)))
            self._check_agree(*(("values of a time", len(row), width) for row in one.values))
        return Predictor(self._shape())


@dataclass(frozen=True)
class _History:
    """The end of a series that was learnt: what a monitor sees before it goes on with the series.

    Attributes:
        day: points a day.
    """

    name: str
    day: int
    times: list[float]
    values: list[list[float]]

    @classmethod
    def of(cls, series: Readings) -> "_History":
        last = slice(-KEPT, None)
        return cls(series.name, series.day, series.times[last].tolist(), series.values[last].tolist())


def _scored(series: Sequence[Readings], found: Sequence[Array], skipped: Sequence[int]) -> list[Scored]:
    return [Scored(own, one.windows or (), skip) for one, own, skip in zip(series, found, skipped, strict=True)]


def _short(value: float) -> float:
    """Six digits are enough to read."""
    return float(f"{value:.6g}")
