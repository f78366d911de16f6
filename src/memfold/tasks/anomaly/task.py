"""The AnomalyDetector: learn what a series usually does, then judge point by point what is unusual."""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from memfold.budget import Budget
from memfold.data.datasets import DataSet
from memfold.data.frames import beside, like
from memfold.data.readings import ID, Readings, read_readings
from memfold.data.sources import read_table
from memfold.data.splits import TimeSplit, with_column
from memfold.data.written import Times
from memfold.display import say
from memfold.errors import InputError
from memfold.runtime.forecasting.blend import PRETRAINED
from memfold.runtime.monitoring.features import Features, FeatureSize
from memfold.runtime.monitoring.monitor import Judgement, Monitor, score_of
from memfold.runtime.monitoring.watching import History, Watching, WatchSession
from memfold.runtime.onnx_part import PartStream
from memfold.runtime.recipe import Run
from memfold.tasks.anomaly.judged import Judged, as_written, by_errors_alone, by_model, judged_table, scored
from memfold.tasks.anomaly.plan import Facts, plan
from memfold.tasks.contest import ALONE, ANSWER, Contest
from memfold.tasks.model import FitData, Task
from memfold.tasks.parameters import Search, fitted, learning_rate, parameter, planned
from memfold.tasks.planning import Plan
from memfold.tasks.report import Metric, Parts
from memfold.words import Words

if TYPE_CHECKING:
    from torch import Tensor

    from memfold.page import Section
    from memfold.stream import Stream
    from memfold.tasks.anomaly.learning import Learner
    from memfold.tasks.anomaly.network import AnomalyProblem, Predictor

__all__ = ["AnomalyDetector"]

TO_JSON = json.JSONEncoder(ensure_ascii=False).encode
REMEMBERED_POINTS = 2000  # last points of every series that a saved model remembers
LABEL = "label"  # the column of labels that are given apart


class AnomalyDetector(Task):
    """Finds unusual readings: an LSTM predicts every point, its errors are compared with the usual ones.

    >>> day = np.sin(np.arange(600) * 0.3)
    >>> day[500] = 4.0
    >>> table = pl.DataFrame({"ds": range(600), "y": day})
    >>> model = AnomalyDetector(hidden_size=8).fit(table[:400], budget="20ep", progress=False)
    >>> int(model.predict(table)["score"][400:].arg_max()) + 400
    500
    """

    name: ClassVar[str] = "anomaly"
    metrics = (
        Metric("nab_standard", "higher"),
        Metric("nab_low_fp", "higher"),
        Metric("nab_low_fn", "higher"),
        Metric("vus_pr", "higher"),
        Metric("f1", "higher"),
        Metric("alarms_per_1000", "neither"),
    )
    budget = "1m"
    kind = "outlier_detector"
    needs = ("a file of readings", "readings.csv")
    runtime = "monitor"
    then = "memfold stream {out} < readings.csv judges readings line by line"

    time: str | None = parameter(
        None, "column with dates or integers; when none, ds, timestamp, time, date ..., or the one that holds dates"
    )
    values: Sequence[str] = parameter(
        (), "columns with the values; when none, y or value, or all other ones with numbers, watched together"
    )
    dates: str | None = parameter(
        None, "how dates are written: day-first, month-first or a format such as %d.%m.%Y; none looks at them"
    )
    decimal: Literal[".", ","] | None = parameter(None, 'sign before a fraction, "." or ","; none looks at the numbers')
    encoding: str | None = parameter(None, "of text files; none looks at their bytes")
    sheet: str | None = parameter(None, "of a workbook; when none, the only one that holds anything")
    label: str | None = parameter(
        None, "column that is 1 in an anomaly, to be scored with; none looks for label, anomaly ..."
    )
    id: str = parameter(ID, "column with the series' names")
    warm_up: float = parameter(
        0.3, "share of every series at its start that is trained on and not scored", above=0, below=1
    )
    most_warm_up: int = parameter(100_000, "points of that share, at most")
    false_alarms: float = parameter(0.1, "false alarms that are allowed in a thousand points", above=0, below=1000)
    span: int = parameter(
        5,
        "points over which errors are averaged; 1 for single spikes, more for changes that last",
        least=1,
        search=Search(1, 50, log=True),
    )
    rest: int = parameter(50, "points after an alarm during which only a more unusual one is an alarm too", least=1)
    block: int | None = planned(
        "points that are averaged where the coarse shape is compared; eight such means are a shape",
        least=1,
        most=REMEMBERED_POINTS,
    )
    pretrained: bool | None = planned(
        "whether the forecaster that comes with memfold predicts in the network's place if it does that better on the "
        "validation part, as with few points to train on; not with online"
    )
    hidden_size: int = parameter(32, "units of the LSTM", least=1, search=Search(8, 128, log=True))
    online: bool = parameter(False, "keep training while watching", search=(False, True))
    update_every: int = parameter(16, "points between two training steps while watching", least=1, most=10**6)
    window: int = parameter(
        64, "points of a window that is trained on", least=1, most=REMEMBERED_POINTS, search=(32, 64, 128)
    )
    batch_size: int = parameter(16, "windows in a step", least=1, most=REMEMBERED_POINTS)
    lr: float = learning_rate(4e-3, "peak learning rate; a quarter of it while watching")
    patience: int | None = parameter(
        5,
        "stop after so many of the 20 validations without a better one; none uses the whole budget",
        least=1,
        kw_only=True,
    )

    variables_: tuple[str, ...] = fitted()
    calendar_: bool = fitted()  # whether times are dates
    written_: Times = fitted()  # how the times were
    history_: list[History] = fitted()
    cold_: bool = fitted()  # whether the bundled forecaster predicts in the network's place
    network_: "Predictor" = fitted(stored=False)

    # -- reading ---------------------------------------------------------------------------------------------

    def read(self, data: Any) -> list[Readings]:
        """The series in a file or a data frame.

        Raises:
            InputError: naming file, row and column of what cannot be read, or series of other variables than those
                that the model was trained on.
        """
        if isinstance(data, list | tuple) and any(isinstance(one, str | Path) for one in data):
            return self.read_files(list(map(str, data)))
        if not (isinstance(data, list) and all(isinstance(one, Readings) for one in data)):
            data = self._readings(data, self.label)
            if notes := dict.fromkeys(note for one in data for note in one.notes):
                say(f"{data[0].name}: {'; '.join(notes)}")
        return self._same(data) if hasattr(self, "variables_") else data

    def labelled(self, X: Any, y: Any) -> list[Readings]:
        """Rows, and for each whether it is in an anomaly."""
        name = self.label or LABEL
        marks = [int(bool(mark)) for mark in y]
        return self._same(self._readings(with_column(X, name, marks), name))

    def _readings(self, data: Any, label: str | None) -> list[Readings]:
        return read_readings(
            data,
            time=self.time,
            values=self.values,
            label=label,
            id=self.id,
            dates=self.dates,
            decimal=self.decimal,
            encoding=self.encoding,
            sheet=self.sheet,
            before=getattr(self, "variables_", ()) if not self.values else (),
            plain=hasattr(self, "calendar_") and not self.calendar_,
        )

    def read_files(self, paths: Sequence[str]) -> list[Readings]:
        return [one for part in self.read_each(paths) for one in part]

    def known_parts(self, known: DataSet) -> Parts:
        return Parts(*self.hold_out(known.load(self.get_params())))

    def hold_out(self, examples: list[Readings]) -> tuple[list[Readings], list[Readings]]:
        """The warm-up of every series, and all of it, for what follows the warm-up to be scored."""
        return [one.head(self.warm_rows(one)) for one in examples], examples

    def split(self, examples: list[Readings]) -> tuple[list[Readings], None]:
        """All of it: the last fifth of every series is held out where windows are cut."""
        return examples, None

    def splitter(self, n_splits: int = 3) -> TimeSplit:
        """Splits by time for scikit-learn; random rows make no series."""
        return TimeSplit(n_splits, None, self.id, self.time)

    def warm_rows(self, series: Readings) -> int:
        """How many rows at a series' start are its warm-up."""
        return min(int(self.warm_up * len(series.times)), self.most_warm_up)

    def _same(self, series: list[Readings]) -> list[Readings]:
        if not hasattr(self, "variables_"):
            return series
        for one in series:
            if one.variables != self.variables_ or one.dates != self.calendar_:
                had = f"{', '.join(self.variables_)} over {'dates' if self.calendar_ else 'numbers'}"
                has = f"{', '.join(one.variables)} over {'dates' if one.dates else 'numbers'}"
                raise InputError(f"{one.name}: the model is fitted to {had}, this has {has}")
        return series

    def summary(self, examples: list[Readings]) -> dict[str, str]:
        first = examples[0]
        rows = sum(len(one.times) for one in examples)
        series = f"{len(examples):,} series" if len(examples) > 1 else "1 series"
        read = {"rows": f"{rows:,} in {series}", "values": ", ".join(first.variables)}
        if len(first.times):
            moments = pl.Series([first.times[0], first.times[-1]])
            if first.dates:
                moments = (moments * 1e6).round().cast(pl.Int64).cast(pl.Datetime("us"))
            begin, end = first.written.written(moments if first.dates else moments.cast(pl.Int64))
            apart = f"{first.step:g}{' s' if first.dates else ''} apart"
            read["times"] = f"from {begin} to {end}, most often {apart}" + (
                "" if len(examples) == 1 else " (the first)"
            )
        if first.windows is not None:
            read["labels"] = f"{sum(len(one.windows or ()) for one in examples):,} labelled anomalies"
        return read

    def examine(self, examples: list[Readings]) -> None:
        early = sum(window[1] < self.warm_rows(one) for one in examples for window in one.windows or ())
        if early:
            say(
                f"{early} of {sum(len(one.windows or ()) for one in examples)} labelled anomalies end within the "
                "warm-up and are not scored"
            )
        ends = {one.name: one.times[-1] for one in self.history_ if one.times}
        within = []
        for one in examples:
            first = self.warm_rows(one)
            if one.name in ends and first < len(one.times) and one.times[first] <= ends[one.name]:
                within.append(one.name)
        if not within:
            return
        of = f"{len(within)} of {len(examples)} series, {within[0]!r} first," if len(examples) > 1 else repr(within[0])
        say(
            f"by names and times, the model was fitted to points of {of} that are scored here; if these are the "
            "same, the scores flatter it"
        )

    # -- training --------------------------------------------------------------------------------------------

    def plan(self, train: list[Readings], valid: Any, budget: Budget, speed: float) -> Plan:
        lengths = sorted(len(one.times) for one in train)
        return plan(Facts(lengths[len(lengths) // 2], train[0].day, sum(lengths)))

    def prepare(self, data: FitData) -> Any:
        self.variables_, self.calendar_ = data.train[0].variables, data.train[0].dates
        self.written_ = replace(data.train[0].written, note="")
        for one in self._same(data.train):
            if len(one.times) == 0:
                raise InputError(f"{one.name}: too few rows to train on")
        train = [self._tensors(one) for one in data.train]
        return train, None if data.valid is None else [self._tensors(one) for one in self._same(data.valid)]

    def network(self) -> "Predictor":
        from memfold.tasks.anomaly.network import Predictor

        return Predictor(self.size_.count, self.size_.variables, self.hidden_size)

    def problem(self, network: "Predictor", ready: Any) -> "AnomalyProblem":
        from memfold.tasks.anomaly.network import AnomalyProblem

        train, valid = ready
        return AnomalyProblem(network, train, valid, self.window, self.batch_size, self.seed)

    def finish(self, data: FitData, ready: Any) -> Contest | None:
        self.history_ = [_history(one) for one in data.whole]
        if self.begun is not None:
            before = {one.name: one for one in self.begun.model.history_}
            self.history_ = list({**before, **{one.name: one for one in self.history_}}.values())
        self.network_.eval()
        self.cold_ = bool(self.chosen.pretrained) and not self.online and self._starts_cold(data, ready)
        if data.valid is not None and any(one.windows for one in data.valid):
            return self._contest(data.valid)
        if data.progress:
            say(
                "nothing to validate on has labelled anomalies, so no contest with the baselines is held; "
                f"{self._rate(data.train)}"
            )
        return None

    def _starts_cold(self, data: FitData, ready: Any) -> bool:
        """Whether the bundled forecaster predicts what is validated on better than the network."""
        from memfold.tasks.anomaly.cold import cold_nats

        trained = self.problem(self.network_, ready).validate()
        cold = cold_nats(self.size_, data.train, data.valid)
        is_better = cold < trained
        if data.progress:
            by = (
                "the forecaster that comes with memfold predicts"
                if is_better
                else "the network that was trained predicts"
            )
            say(
                f"{by} what is validated on better ({min(cold, trained):.2f} against {max(cold, trained):.2f} nats a "
                "point), and is what watches"
            )
        return is_better

    def _contest(self, series: list[Readings]) -> Contest:
        """By the score that lasts, as points are labelled and not moments."""
        answers = self.answer(series)
        named = {ANSWER: answers, **self.baselines(series, answers)}
        metric = "vus_pr"
        return Contest(metric, "higher", {name: self.scores(series, its)[metric] for name, its in named.items()})

    def _rate(self, series: list[Readings]) -> str:
        """How many false alarms are allowed, in words."""
        text = f"{self.false_alarms:g} false alarms in 1,000 points are allowed"
        if not series[0].dates or not series[0].step:
            return text
        days = 1000 / self.false_alarms * series[0].step / 86_400
        return f"{text}, one in {days:,.0f} days" if days >= 2 else f"{text}, {1 / days:,.1f} a day"

    @property
    def size_(self) -> FeatureSize:
        """The features that the network reads."""
        return FeatureSize(len(self.variables_), self.calendar_)

    def _tensors(self, series: Readings) -> "tuple[Tensor, Tensor]":
        """Features (N, F) and targets (N, V)."""
        import torch

        features = Features(self.size_, series.day)
        rows = [
            (features.next(time), features.add(values))
            for time, values in zip(series.times.tolist(), series.values.tolist(), strict=True)
        ]
        x, target = zip(*rows, strict=True)
        return torch.tensor(x), torch.tensor(target)

    # -- watching --------------------------------------------------------------------------------------------

    def add_to(self, pipeline: Any) -> None:
        if self.online:
            pipeline.learning = self._learning

    def put_parts(self, pipeline: Any, parts: Mapping[str, Run]) -> None:
        pipeline.network = lambda: PartStream(parts["model"], self.hidden_size)

    def _learning(self) -> "tuple[Stream, Learner]":
        """The network's stream, and what goes on training a copy of it."""
        from memfold.tasks.anomaly.learning import Learner

        adapted = copy.deepcopy(self.network_)
        learner = Learner(adapted, self.update_every, self.window, self.batch_size, self.lr / 4, self.seed)
        return adapted.stream(), learner

    def monitor(self, day: int = 0) -> Monitor:
        """A monitor that has seen nothing yet, of a series with so many points a day."""
        return self._watching.monitor(day)

    @property
    def _watching(self) -> Watching:
        pipeline: Any = self.pipeline
        watching: Watching = pipeline
        return watching

    def watch(self, series: Readings) -> Iterator[Judgement]:
        """Judge a series from its first point to its last."""
        monitor = self.monitor(series.day)
        return map(monitor.step, series.times.tolist(), series.values.tolist())

    def is_alarm(self, judgement: Judgement) -> bool:
        """Whether a judgement is an alarm: as unusual as `false_alarms` allows, and news."""
        return self._watching.is_alarm(judgement)

    def answer(self, examples: list[Readings]) -> Judged:
        """Every point judged, from the first one of each series; what follows its warm-up is scored."""
        return self._judged(examples, [self.warm_rows(one) for one in examples])

    def _judged(self, series: list[Readings], skipped: list[int]) -> Judged:
        return by_model([list(self.watch(one)) for one in series], skipped, self.is_alarm)

    def table(self, examples: list[Readings], answers: Judged) -> pl.DataFrame:
        """Columns ``unique_id``, ``ds``, ``score`` (0 to 1), ``alarm``, ``reason`` (what is least usual, as
        `Judgement` has it), ``fault`` (0 to 1, up while a fault lasts), ``variable`` (the least probable one) and
        ``sigmas`` (how far it is from what was expected), and for every variable ``expected_``, ``lo80_`` and
        ``hi80_`` with its name.
        """
        pairs = zip(examples, answers.judgements, strict=True)
        return pl.concat([judged_table(one, judged, self.variables_, self.is_alarm) for one, judged in pairs])

    def predict(self, data: Any) -> pl.DataFrame:
        """Judge every point of series.

        Args:
            data: one path or several, a data frame, or a list of `Readings`.

        Returns:
            As `table` describes it. Of files and frames: a row for each of theirs, in their order, with all of their
            columns first and the times written as they were; a frame is of the kind that was given.

        Raises:
            InputError: not fitted yet, or data that cannot be worked with.
        """
        self.check_fitted()
        if isinstance(data, list | tuple):
            if all(isinstance(one, Readings) for one in data):
                series = self.read(list(data))
                return self.table(series, self._judged(series, [0] * len(series)))
            parts: list[pl.DataFrame] = self.read_each(list(map(str, data)), self._predict_file)
            return pl.concat(parts, how="diagonal_relaxed")
        return like(self._predict_file(data), data)

    def _predict_file(self, data: Any) -> pl.DataFrame:
        """Every row of one table judged, beside all that it holds."""
        given = read_table(data, self.encoding, sheet=self.sheet)
        examples = self.read(given)
        judged = as_written(self.predict(examples), examples)
        places = np.concatenate([one.rows for one in examples if one.rows is not None])
        judged = judged[np.argsort(places).tolist()]
        others = given.frame.drop([name for name in ("ds", ID) if name in given.frame.columns])
        answers: pl.DataFrame = beside(others, judged)
        return answers

    def answers(self, inputs: Sequence[str]) -> pl.DataFrame:
        self._require_inputs(inputs)
        if self.known_set(inputs):
            return self.predict(self.parts(inputs).test)
        return self.predict(list(inputs))

    # -- in a stream -----------------------------------------------------------------------------------------

    def respond(self, line: str) -> Iterator[str]:
        yield from map(TO_JSON, self.session.push(line))

    @cached_property
    def session(self) -> WatchSession:
        """The series that are being streamed."""
        return self._watching.open()

    # -- scores ----------------------------------------------------------------------------------------------

    def sections(self, examples: list[Readings], answers: Judged, words: Words) -> "Sequence[Section]":
        from memfold.tasks.anomaly.report import judged_section

        return [judged_section(self, examples, answers, words)]

    def scores(self, examples: list[Readings], answers: Judged) -> dict[str, float]:
        """With labels the benchmark's three scores, VUS-PR and the best F1; always, alarms a thousand points.

        The benchmark asks for the start of an anomaly, by the alarms' score; the other two for all of its points, by
        the one that lasts. Anomalies that end within the warm-up are not scored.
        """
        from memfold.tasks.anomaly.scores import scores

        alarms = sum(int(alarm[skip:].sum()) for alarm, skip in zip(answers.alarms, answers.skipped, strict=True))
        points = sum(len(one.times) - skip for one, skip in zip(examples, answers.skipped, strict=True))
        result = {"alarms_per_1000": 1000 * alarms / max(points, 1)}
        if any(one.windows for one in examples):
            faults, news = (scored(examples, each, answers.skipped) for each in (answers.faults, answers.news))
            result |= scores(faults, news)
        return result

    def baselines(self, examples: list[Readings], answers: Judged) -> dict[str, Judged]:
        from memfold.tasks.anomaly.baselines import by_baselines

        chance = self.false_alarms / 1000
        result = by_baselines(examples, answers.skipped, chance)
        if answers.judgements:
            result[PRETRAINED if self.cold_ else ALONE] = by_errors_alone(answers, self.rest, score_of(chance))
        return result

    def details(self, examples: list[Readings], answers: Judged, seconds: float) -> Sequence[Any]:
        from memfold.tasks.anomaly.events import event_table, folder_table

        events = []
        for one, judgements, first in zip(examples, answers.judgements, answers.skipped, strict=True):
            rows = range(first, len(judgements))
            events += [(one, row, judgements[row]) for row in rows if self.is_alarm(judgements[row])]
        shown: list[Any] = [event_table(events, self.variables_)]
        if any(one.windows for one in examples) and any("/" in one.name for one in examples):
            starts = scored(examples, answers.news, answers.skipped)
            shown.append(folder_table([one.name for one in examples], starts))
        return shown

    # -- for scikit-learn ------------------------------------------------------------------------------------

    def score(self, X: Any, y: Any = None) -> float:
        """The benchmark's score of labelled rows that follow those that the model was trained on, or of whole series.

        Raises:
            InputError: there are no labels, or a series has rows among those that the model was trained on, as after a
                random split.
        """
        examples = self._examples(X, y)
        if not any(one.windows for one in examples):
            raise InputError("a score needs labelled anomalies: a column of labels, or y")
        whole, skipped = zip(*(self._gone_on(one) for one in examples), strict=True)
        first = self.metrics[0]
        return first.signed(self.scores(list(whole), self._judged(list(whole), list(skipped)))[first.name])

    def array(self, X: Any) -> NDArray[Any]:
        """For every row of a data frame, -1 in an alarm and else 1."""
        series = self.read(X)
        signs = np.ones(sum(len(one.times) for one in series), np.int64)
        for one in series:
            whole, skip = self._gone_on(one)
            (alarms,) = self._judged([whole], [skip]).alarms
            assert one.rows is not None
            signs[one.rows[alarms[len(alarms) - len(one.times) :]]] = -1
        return signs

    def _gone_on(self, series: Readings) -> tuple[Readings, int]:
        """A series with its history before it, and how many of its rows are not to be scored."""
        known = next((one for one in self.history_ if one.name == series.name), None)
        if known is None or not known.times or not len(series.times):
            return series, self.warm_rows(series)
        before = np.array(known.times)
        if series.times[0] > before[-1]:
            values = np.concatenate([np.array(known.values, np.float64), series.values])
            moved = series.windows and tuple((a + len(before), b + len(before)) for a, b in series.windows)
            whole = replace(series, times=np.concatenate([before, series.times]), values=values, windows=moved)
            return whole, len(before)
        if series.times[-1] > before[-1] and np.isin(before, series.times).all():  # the whole series
            skip = int(np.searchsorted(series.times, before[-1], side="right"))
            scored = series.windows and tuple(window for window in series.windows if window[1] >= skip)
            return replace(series, windows=scored), skip
        raise InputError(
            f"{series.name}: rows before the end of those that the model was trained on; split rows by time: "
            "cv=model.splitter()"
        )


def _history(series: Readings) -> History:
    last = slice(-REMEMBERED_POINTS, None)
    values = [[None if value != value else value for value in row] for row in series.values[last].tolist()]
    return History(series.name, series.day, series.times[last].tolist(), values)
