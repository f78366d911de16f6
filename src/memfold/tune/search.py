"""The course of a search: the default, trials that Optuna chooses, and the best of them beside the default."""

import csv
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memfold.budget import Budget
from memfold.bulk.executor import Executor, Lost
from memfold.display import say, score_table
from memfold.errors import InputError
from memfold.files import write_file
from memfold.formats.directory import TRIALS, check_place
from memfold.tasks.planning import Plan, speed_for
from memfold.tasks.registry import task_class
from memfold.tune.space import axes_of
from memfold.tune.trial import Trial, Tried, finished, model_of, parts_for, try_out

if TYPE_CHECKING:
    from rich.table import Table

    from memfold.tasks.model import Task
    from memfold.tasks.report import Report

__all__ = ["Tuned", "tune"]

SEARCHING = 0.5  # share of the time for the trials; the rest is for the fits of the best and of the default
LEAST_SECONDS = 1.0  # of a trial


@dataclass
class Tuned:
    """What a search found.

    Attributes:
        trials: a row a trial: its number, score, seconds, steps, how it ended, and its parameters.
        best: the trial whose parameters the model has; 0 is the default.
        settings: its parameters, beside those that were given.
        report: of the model, on the part that was held out; None where the search was interrupted.
        default: of the default, fitted as long; the same one where the default is the best.
    """

    trials: list[dict[str, Any]] = field(default_factory=list)
    best: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    report: "Report | None" = None
    default: "Report | None" = None

    def table(self) -> "Table":
        """The scores of the model beside those of the default and of the baselines."""
        assert self.report is not None
        assert self.default is not None
        tuned = {"the default": self.default.metrics}
        if self.best:
            tuned = {f"trial {self.best}": self.report.metrics, **tuned}
        return score_table({**tuned, **self.report.baselines}, self.report.data, self.report.better)

    def as_json(self) -> dict[str, Any]:
        """What ``--json`` prints: the report of the model, with the search beside it."""
        report = {} if self.report is None else self.report.as_json()
        default = None if self.default is None else self.default.as_json()["metrics"]
        finite = {"score": lambda value: value if math.isfinite(value) else None}
        rows = [{name: finite.get(name, _as_it_is)(value) for name, value in row.items()} for row in self.trials]
        return {**report, "default": default, "best": self.best, "set": dict(self.settings), "trials": rows}


def _as_it_is(value: Any) -> Any:
    return value


class _Here:
    """An executor that does one unit after another in this very process, on all of its threads."""

    workers = 1

    def run(self, units: Iterable[Any], work: Callable[[Any], Any]) -> Generator[tuple[Any, Any], None, None]:
        for unit in units:
            yield unit, work(unit)

    def close(self) -> None:
        pass


def tune(
    task: str,
    data: Sequence[str],
    out: str | Path,
    *,
    trials: int = 20,
    budget: str = "10m",
    ray: str | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    overwrite: bool = False,
    command: str = "",
) -> Tuned:
    """Search for better parameters of a task, and save the model that is best on the validation part.

    Half of the time is for the trials, an equal share each, the first of which is the default; the rest for fitting the
    best and the default once more, longer. The better of these two by the validation part is saved. Both are scored
    once on the part that was held out. Ctrl-C ends the search and keeps the best model so far.

    Args:
        data: files, or ``@NAME``.
        out: folder for the model and for ``trials.csv``.
        trials: at most; fewer where the time is over before.
        budget: time of training in all, such as ``10m``; as in a fit, what follows a training is not counted.
        ray: address of a cluster of Ray on which the trials run; this process when None.
        settings: parameters that are given, and not searched.
        seed: of the search and of the fits.
        overwrite: replace a model in ``out``.
        command: for the model card, what made the model.

    Raises:
        InputError: data, settings, a budget or a folder that cannot be worked with.
    """
    return _Search(task, tuple(data), Path(out), trials, budget, settings or {}, seed, command).run(ray, overwrite)


class _Search:
    def __init__(
        self,
        task: str,
        data: tuple[str, ...],
        out: Path,
        trials: int,
        budget: str,
        settings: Mapping[str, Any],
        seed: int,
        command: str,
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        kind = task_class(task)
        seconds = Budget.parse(budget).seconds
        if seconds is None:
            raise InputError(f"--budget {budget}: a search takes a time for all of its trials, such as 10m")
        if trials < 1:
            raise InputError(f"--trials must be at least 1, got {trials}")
        self.seconds, self.count, self.seed = seconds, trials, seed
        self.kind, self.out, self.command = kind, out, command
        self.axes = axes_of(kind, settings)
        fixed = {**kind.known_parameters(data), **settings, "seed": seed}
        self.first = Trial(0, task, data, fixed, {}, 0.0)
        self.tuned = Tuned()
        self.best_score = math.inf
        self.best: tuple[Trial, Tried] | None = None
        self.asked: dict[int, Any] = {}  # what Optuna knows the trials as

    def run(self, ray: str | None, overwrite: bool) -> Tuned:
        check_place(self.out, overwrite=overwrite)
        parts_for(self.first)  # what is wrong with the data is said before the time begins
        speed_for(Budget(self.seconds))  # which loads torch and is measured once
        begun = time.monotonic()
        with closing(_executor(ray)) as executor:
            whole = self._search(executor, begun + SEARCHING * self.seconds)
        if self.best is None:
            raise InputError(f"no trial gave a model; the first one: {self.tuned.trials[0]['error']}")
        try:
            whole = whole and self._finish(begun + self.seconds)
        except KeyboardInterrupt:
            whole = False
        if not whole:
            say("memfold: interrupted; the best model so far is kept")
            finished(*self.best).save(self.out, command=self.command)
        write_file(self.out / TRIALS, lambda aside: _write_table(aside, self.tuned.trials))
        return self.tuned

    # -- the trials ------------------------------------------------------------------------------------------

    def _search(self, executor: Executor, until: float) -> bool:
        """Have the trials fitted; False where Ctrl-C ended them."""
        import optuna

        sampler = optuna.samplers.TPESampler(
            seed=self.seed, n_startup_trials=max(self.count // 4, 4), constant_liar=executor.workers > 1
        )
        study = optuna.create_study(sampler=sampler)
        rounds = 1 + math.ceil((self.count - 1) / executor.workers)
        share = max((until - time.monotonic()) / rounds, LEAST_SECONDS)
        alone = isinstance(executor, _Here)
        first = replace(self.first, seconds=share, alone=alone)
        try:
            for _, tried in executor.run([first], try_out):
                if not self._note(first, tried):
                    return False
                first = replace(first, plan=tried.plan if isinstance(tried, Tried) else None)
                self._tell_default(study, tried)
            for trial, tried in executor.run(self._asked(study, first, until), try_out):
                if not self._note(trial, tried):
                    return False
                failed = not math.isfinite(_score(tried))
                state = optuna.trial.TrialState.FAIL if failed else None
                study.tell(self.asked[trial.number], None if failed else _score(tried), state=state)
        except KeyboardInterrupt:
            if self.best is None:
                raise
            return False
        return True

    def _asked(self, study: Any, first: Trial, until: float) -> Iterator[Trial]:
        """Trials as Optuna chooses them, while there is time for another one."""
        for number in range(1, self.count):
            if time.monotonic() + first.seconds / 2 > until:
                say(f"the time for trials is over after {number} of {self.count}")
                return
            chosen = study.ask()
            self.asked[number] = chosen
            settings = {axis.name: axis.suggest(chosen) for axis in self.axes}
            yield replace(first, number=number, settings=settings)

    def _tell_default(self, study: Any, tried: "Tried | Lost") -> None:
        """Have Optuna know of the default, where all of its values are within the ranges."""
        import optuna

        if isinstance(tried, Lost) or not math.isfinite(tried.score):
            return
        values = {**model_of(self.first).get_params(), **tried.plan}
        try:
            places = {axis.name: axis.place(values[axis.name]) for axis in self.axes}
        except ValueError:
            return
        distributions = {axis.name: axis.distribution() for axis in self.axes}
        study.add_trial(optuna.trial.create_trial(params=places, distributions=distributions, value=tried.score))

    def _note(self, trial: Trial, tried: "Tried | Lost") -> bool:
        """Add a trial to the table, and save its model where it is the best; False where Ctrl-C ended it."""
        if isinstance(tried, Lost):
            tried = Tried(math.inf, math.nan, error=tried.reason)
        interrupted = tried.stopped == "interrupted"
        row: dict[str, Any] = {"trial": trial.number}
        row |= {"score": tried.score, "seconds": round(tried.seconds, 2), "steps": tried.steps}
        row |= {"ended": tried.stopped, "error": tried.error}
        values = {**model_of(trial).get_params(), **tried.plan}
        self.tuned.trials.append(row | {axis.name: values[axis.name] for axis in self.axes})
        better = tried.score < self.best_score and bool(tried.weights)
        if better and (not interrupted or self.best is None):
            self.best_score, self.best = tried.score, (trial, tried)
            self.tuned.best, self.tuned.settings = trial.number, dict(trial.settings)
        what = str(Plan(trial.settings)) if trial.settings else "the default"
        score = f"{tried.score:.4f}{' *' if better else ''}" if tried.weights else tried.error
        say(f"trial {trial.number}: {score}  {what}")
        return not interrupted

    # -- the best beside the default -------------------------------------------------------------------------

    def _finish(self, until: float) -> bool:
        """Fit the best and the default in the time that is left, save the better one, and score both.

        Returns:
            False where Ctrl-C ended a fit.
        """
        contest = [replace(self.first, seconds=0.0)]
        if self.tuned.best:
            contest.append(replace(self.first, number=self.tuned.best, settings=self.tuned.settings))
        each = max((until - time.monotonic()) / len(contest), LEAST_SECONDS)
        fitted: dict[int, Task] = {}
        plan: Mapping[str, Any] | None = None
        for trial in contest:
            say(f"fitting {'the best trial' if trial.number else 'the default'} for {each:.0f} s")
            parts = parts_for(trial)
            model = model_of(trial).fit(parts.train, budget=f"{each}s", valid=parts.valid, plan=plan)
            if model.training_.stopped == "interrupted":
                return False
            fitted[trial.number] = model
            plan = model.plan_  # the same for what both leave open, so that their scores can be compared
        self.tuned.best = min(fitted, key=lambda number: fitted[number].training_.best_score)
        if not self.tuned.best:
            self.tuned.settings = {}
        say("scoring beside the baselines ...")
        reports = {}
        for trial in contest:
            parts = parts_for(trial)
            name = " ".join(trial.data)
            reports[trial.number] = fitted[trial.number].evaluate(parts.test, name, **parts.scoring)
        self.tuned.report, self.tuned.default = reports[self.tuned.best], reports[0]
        fitted[self.tuned.best].note_data(self.first.data, parts_for(self.first).test)
        fitted[self.tuned.best].save(self.out, self.tuned.report, self.command)
        return True


def _executor(ray: str | None) -> Executor:
    if ray is None:
        return _Here()
    from memfold.bulk.cluster import Cluster

    return Cluster(ray, ahead=1)


def _score(tried: "Tried | Lost") -> float:
    return tried.score if isinstance(tried, Tried) else math.inf


def _write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
