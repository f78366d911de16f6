"""The course of every task: fit, evaluate, predict, save, load and resume. A task gives its steps.

What ``read``, ``answer`` and ``table`` of a task need imports no torch before a network is made or loaded.
"""

import copy
import importlib
import importlib.util
import json
import platform
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, NotRequired, Self, dataclass_transform

from memfold.budget import Budget
from memfold.data.datasets import DataSet, known_set
from memfold.data.hashing import digest
from memfold.data.seen import Seen
from memfold.data.unreadable import leave_out
from memfold.display import say
from memfold.errors import InputError, NotFittedError, shown
from memfold.files import check_file, check_new_folder, write_into
from memfold.formats.directory import CHECKPOINT, WEIGHTS, check_place, exported_in, read_files, write_model
from memfold.formats.schema import check, decode, encode
from memfold.runtime.onnx_part import run_of
from memfold.runtime.pipeline import Pipeline, pipeline_class
from memfold.runtime.recipe import Recipe, Run
from memfold.runtime.weights import Weights
from memfold.system import locked
from memfold.tasks.advice import advice, better_baseline, rarest_of
from memfold.tasks.contest import ALONE, ANSWER, Contest
from memfold.tasks.fit_data import FitData
from memfold.tasks.parameters import describe, fitted, learning_rate, parameter, parameters_of, planned
from memfold.tasks.planning import Plan, checked_plan, speed_for
from memfold.tasks.precision import BFLOAT16, FLOAT32, Precision, computed_here, precision_for
from memfold.tasks.report import Parts, Report
from memfold.tasks.steps import Steps
from memfold.tasks.updating.kept import Kept, kept_rows, kept_sources
from memfold.tasks.updating.origin import Origin
from memfold.trained import Result
from memfold.words import Said, Words

if TYPE_CHECKING:
    import polars as pl
    from torch import Tensor, nn

    from memfold.explain import Explanation
    from memfold.tasks.estimator import Estimator
    from memfold.training import Begun

__all__ = ["FitData", "Task", "one_source"]

# Of config.json.
KEYS = {"format", "files", "task", "runtime", "memfold", "torch", "parameters", "plan"}
KEYS |= {"contest", "training", "fitted", "weights", "data"}
UNREADABLE = (LookupError, TypeError, ValueError, RuntimeError, ArithmeticError, AttributeError, MemoryError)


def one_source(data: Sequence[str]) -> str:
    """The one path of a task that reads no more.

    Raises:
        InputError: there are several.
    """
    if len(data) != 1:
        raise InputError(f"{len(data)} files given; this task reads one")
    return data[0]


@dataclass_transform(eq_default=False, field_specifiers=(fitted,))
@dataclass(eq=False, repr=False)
class Task(Steps):
    """A model for one kind of data.

    A subclass names its parameters and what fitting finds as fields, by `parameter` and `fitted`, and gives the steps
    of the course. The constructor stores its arguments under their own names and does nothing else, so that
    scikit-learn's ``clone`` and searches work. What fitting finds ends in an underscore.
    """

    begun: ClassVar[Origin | None] = None  # of a fit that goes on from a model, where it goes on from; set on its copy
    progress = False  # whether reading shows how far it is; a fit sets it on its copy
    _stored: ClassVar[Weights | None] = None  # the arrays of a loaded model, until its network is made of them

    _weight_count: ClassVar[int | None] = None  # of a loaded model
    _exported: ClassVar[Mapping[str, Run] | None] = None  # what computes the parts of a recipe in place of the network

    lr: float = learning_rate(2e-3)
    patience: int | None = parameter(
        None,
        "stop after so many of the 20 validations without a better one; none uses the whole budget",
        least=1,
        kw_only=True,
    )
    precision: Precision | None = planned(
        "what the steps of a training multiply in, the sums being in float32; auto takes bfloat16 where the processor "
        "computes in it, the training is faster by it and the scores are as good",
        kw_only=True,
    )
    seed: int = parameter(0, "seed of the initial weights, the order of the data and dropout", least=0, kw_only=True)

    plan_: dict[str, Any] = fitted(stored=False)
    contest_: Contest | None = fitted(stored=False)
    kept_: Kept = fitted(stored=False)
    network_: Any = fitted(stored=False)
    training_: Result = fitted(stored=False)

    def __init_subclass__(cls) -> None:
        dataclass(eq=False, repr=False)(cls)
        head, separator, example = (cls.__doc__ or "").partition("\n    >>>")
        cls.__doc__ = f"{head.rstrip()}\n\n    {describe(cls).replace(chr(10), chr(10) + '    ')}\n{separator}{example}"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """What fitting finds: the network of a loaded model is made when it is asked for, which loads torch.

            Raises:
                NotFittedError: which is an AttributeError, so that ``hasattr`` works.
            """
            if name == "network_" and self._stored is not None:
                self._make_network()
                return vars(self)[name]
            fitted_names = {field.name for field in fields(self) if not field.init}
            needs_them = not name.startswith("__") and hasattr(type(self), name)  # a property
            if name in fitted_names or needs_them:
                raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit first")
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    # -- parameters ------------------------------------------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments and their values."""
        return {p.name: getattr(self, p.name) for p in parameters_of(type(self))}

    def set_params(self, **params: Any) -> Self:
        """Change some of them.

        Raises:
            InputError: there is no such parameter.
        """
        names = [p.name for p in parameters_of(type(self))]
        for name, value in params.items():
            if name not in names:
                raise InputError(f"{self.name} has no parameter {name!r}; it has {', '.join(names)}")
            setattr(self, name, value)
        vars(self).pop("pipeline", None)  # which was made of the parameters as they were
        return self

    @property
    def chosen(self) -> SimpleNamespace:
        """The parameters by name, each that was left open as the plan of the fit has it."""
        return SimpleNamespace(**{**self.get_params(), **vars(self).get("plan_", {})})

    def __repr__(self) -> str:
        changed = [p.name for p in parameters_of(type(self)) if getattr(self, p.name) != p.default]
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in changed)})"

    def check(self) -> None:
        """Hold every parameter against its type and its bounds; a task adds what holds between several.

        Raises:
            InputError: one does not fit.
        """
        for p in parameters_of(type(self)):
            value = encode(getattr(self, p.name))
            check(value, p.hint, f"parameters.{p.name}")
            p.check(value)

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn wants to know of an estimator."""
        from memfold.tasks.estimator import tags_of

        return tags_of(self)

    def __sklearn_is_fitted__(self) -> bool:
        return self._stored is not None or "network_" in vars(self)

    def as_sklearn(self) -> "Estimator":
        """An estimator of scikit-learn with these parameters, whose ``predict`` returns an array."""
        from memfold.tasks.estimator import Estimator

        return Estimator(self)

    # -- data ------------------------------------------------------------------------------------------------

    def read_each(self, paths: Sequence[str], read: Callable[[Path], Any] | None = None) -> list[Any]:
        """What ``read``, the task's own when None, gives of each file.

        Those that cannot be read are left out, and named on standard error.

        Raises:
            InputError: none of them can be read.
        """
        parts, broken = [], []
        for path in paths:
            try:
                parts.append((read or self.read)(Path(path)))
            except InputError as error:
                broken.append(str(error))
        if not parts:
            raise InputError(broken[0] + (f"; nor can the {len(broken) - 1} others be read" if broken[1:] else ""))
        leave_out(broken, len(paths), "files")
        return parts

    def known_parts(self, known: DataSet) -> Parts:
        """The parts of a known data set, as its loader gives them."""
        train, test, *valid = known.load(self.get_params())
        return self._with_scoring(train, test, *valid)

    def own_parts(self, data: Sequence[str]) -> Parts:
        """A person's files, and the part of them that is held out and scored once."""
        return self._with_scoring(*self.hold_out(self.read_files(data)))

    def _with_scoring(self, train: Any, test: Any, valid: Any = None) -> Parts:
        return Parts(train, test, valid, {"train": train} if self.recalls else {})

    @classmethod
    def known_set(cls, data: Sequence[str]) -> DataSet | None:
        """The data set that inputs name, as ``@NAME``; None when they are a person's files.

        Raises:
            InputError: there is no such data set, or it is for another task.
        """
        return known_set(data, cls.name)

    @classmethod
    def known_parameters(cls, data: Sequence[str]) -> dict[str, Any]:
        """The parameters that a known data set (``@NAME``) comes with; none for a person's own data.

        Raises:
            InputError: there is no such data set, or it is for another task.
        """
        known = cls.known_set(data)
        return {} if known is None else dict(known.parameters)

    def parts(self, data: Sequence[str]) -> Parts:
        """The parts of a person's files or of a known data set (``@NAME``).

        Raises:
            InputError: parameters or files that cannot be worked with.
        """
        self.check()
        known = self.known_set(data)
        return self.own_parts(data) if known is None else self.known_parts(known)

    # -- the course ------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        budget: str | None = None,
        valid: Any = None,
        out: str | Path | None = None,
        resume: bool = False,
        overwrite: bool = False,
        plan: Mapping[str, Any] | None = None,
        progress: bool = True,
    ) -> Self:
        """Fit the model. It stays as it was until the end: a fit that fails changes nothing.

        Args:
            X: examples as `read` takes them; with ``y``, inputs alone.
            y: the answers to the inputs, as many.
            budget: time of training such as ``3m``, or epochs such as ``20ep``; the task's own when None.
            valid: examples to validate on, or a pair of inputs and answers where ``y`` is given; a part of the data
                when None.
            out: folder in which to keep a checkpoint.
            resume: go on from the checkpoint there.
            overwrite: begin anew there, whatever model or unfinished training it holds.
            plan: what an earlier fit chose, its ``plan_``, in place of a new plan.
            progress: show it on standard error.

        Raises:
            InputError: data or parameters that cannot be worked with.
        """
        if isinstance(y, str):
            raise InputError(f"y must be the answers to X, got {shown(y)}; the budget is given by name: budget={y!r}")
        limit = Budget.parse(budget or self.budget)
        place = None if out is None else Path(out)
        self.check()
        if place is not None:  # before anything is read
            check_place(place, resume=resume, overwrite=overwrite)
        # Work on a copy, so that a fit that fails leaves this model as it was.
        task = type(self)(**self.get_params())
        task.progress = progress
        # Read the examples, and hold some of them out to validate on.
        examples = task._examples(X, y)
        if valid is None:
            train, held_out = task.split(examples)
        else:
            train = examples
            held_out = task._examples(*(valid if y is not None else (valid, None)))
        task.carry_out(FitData(examples, train, held_out, progress), limit, place, resume, overwrite, plan)
        self.become(task)
        return self

    def carry_out(
        self,
        data: FitData,
        limit: Budget,
        place: Path | None = None,
        resume: bool = False,
        overwrite: bool = False,
        plan: Mapping[str, Any] | None = None,
    ) -> None:
        """Train the network, then find what needs a trained one, such as thresholds and baselines; as `fit` says."""
        with _alone_in(place, resume, overwrite):
            begun = _plan_in(place) if resume and place is not None else None
            if self.begun is None:
                self._take_plan(data, limit, plan if begun is None else begun)
            ready = self._train(data, limit, place, resume)
        self.contest_ = self.finish(data, ready)
        vars(self).pop("pipeline", None)  # one of a model that was not finished
        self.kept_ = kept_rows(self, data)
        if data.progress and self.contest_ is not None:
            say(str(self.contest_))
            for line in self.advice(data.train):
                say(line)

    def update(self, X: Any, y: Any = None, *, budget: str | None = None, progress: bool = True) -> Self:
        """Go on from the weights of this model with new data. It stays as it was until the end, as in `fit`.

        Classes and vocabulary may grow; what the network reads is scaled as before. What an earlier fit held out is
        held out again where it is among the new data. Where the model knows where its old data is, and it is still
        there, that is given again beside the new.

        Args:
            X, y, budget, progress: as for `fit`.

        Raises:
            InputError: not fitted yet, or data that cannot be worked with.
        """
        from memfold.tasks.updating.course import update

        task: Any = update(self, X, y, budget or self.budget, progress)
        self.become(task)
        return self

    def _take_plan(self, data: FitData, budget: Budget, given: Mapping[str, Any] | None) -> str:
        """Choose what was left open, or take what was chosen before; returns what was chosen, in words."""
        open_ones = [p for p in parameters_of(type(self)) if p.planned and getattr(self, p.name) is None]
        self.plan_ = {}
        if not open_ones:
            return ""
        names = [p.name for p in open_ones]
        if given is None:
            plan = Plan({})
            if names != ["precision"]:
                plan = self.plan(data.train, data.valid, budget, speed_for(budget))
            if precision_for(self.halves) == BFLOAT16:
                plan = replace(plan, values={**plan.values, "precision": BFLOAT16})
            plan = plan.among(names)
        else:
            allowed = [p for p in parameters_of(type(self)) if p.planned]
            plan = Plan(checked_plan(given, allowed, "plan"), "as given").among(names)
        # Without a word of it the precision is float32.
        if missing := [name for name in names if name not in plan.values and name != "precision"]:
            raise InputError(f"plan: has no {', '.join(missing)}")
        self.plan_ = checked_plan(plan.values, open_ones, "plan")
        if not self.plan_:
            return ""
        if data.progress:
            say(f"plan: {plan}")
        return str(plan)

    def become(self, task: Self) -> None:
        """Take what another one of the class holds, and forget what an earlier fit found.

        What others have put here stays, as scikit-learn's searches put something beside the fields.
        """
        for name in list(vars(self)):
            if hasattr(type(self), name) or name in {field.name for field in fields(self)}:
                delattr(self, name)
        vars(self).update(vars(task))
        for name in ("progress", "begun"):
            vars(self).pop(name, None)

    def advice(self, train: Any = None, report: Report | None = None) -> list[Said]:
        """What to try where a baseline is better than the model; nothing where none is.

        Args:
            train: what it was trained on, where that is known.
            report: on what was held out; without one, it is the validation part that counts.
        """
        scores = {} if report is None else {ANSWER: report.metrics, **report.baselines}
        rival = better_baseline(vars(self).get("contest_"), self.metrics[0], scores)
        return advice(self.training_, rival, rarest_of(train)) if rival and rival != ALONE else []

    def updating(self) -> ModuleType | None:
        """The module ``update`` beside the task's class: what an update must know of it; None where it has none."""
        try:
            return self._beside("update", "updated")
        except InputError:
            return None

    def note_data(self, sources: Sequence[str], test: Any) -> None:
        """Keep in mind where the data is that the model was fitted to, and what was held out to be scored."""
        self.kept_ = kept_sources(self, sources, test)

    def grown(self, name: str, fresh: Sequence[Any]) -> list[Any]:
        """What a fit finds in its data, such as classes; of one that goes on from a model, after what that found."""
        old = [] if self.begun is None else list(getattr(self.begun.model, name))
        known = set(old)
        return [*old, *(entry for entry in fresh if entry not in known)]

    def also_seen(self, seen: Seen) -> str:
        """The hashes of what a fit has seen, with those of the model that it goes on from."""
        return str(seen if self.begun is None else seen.with_those_of(Seen.parse(getattr(self.begun.model, "seen_"))))  # noqa: B009

    def _examples(self, X: Any, y: Any) -> Any:
        return self.read(X) if y is None else self.labelled(X, y)

    def _train(self, data: FitData, limit: Budget, out: Path | None, resume: bool) -> Any:
        """Run the loop with its display, its checkpoint in the folder ``out``; returns what `prepare` made."""
        from memfold import training
        from memfold.display import Display

        checkpoint = None if out is None else out / CHECKPOINT
        ready, first = self._before_training(data, limit)
        problem, settings = first.problem, first.settings
        # What a checkpoint must agree on to be resumed.
        identity = {
            "parameters": encode(self.get_params()),
            "plan": encode(self.plan_),
            "budget": str(limit),
            "data": digest(ready),
            **({} if self.begun is None else {"from": self.begun.mark}),
        }
        text = json.dumps({"task": self.name, **identity}, sort_keys=True)
        self.network_ = problem.model
        options: dict[str, Any] = {"checkpoint": checkpoint, "resume": resume, "identity": text}
        # Train, with a display or without.
        if data.progress:
            with Display(f"{self.name}: {self.parameter_count:,} parameters") as display:
                result = training.train(problem, settings, progress=display, **options)
                display.finished(f"{result.steps:,} steps in {result.seconds:.0f} s: {result.speed(problem.unit)}")
        else:
            result = training.train(problem, settings, **options)
        if data.progress and result.stopped == "enough":
            most = problem.most_epochs or 0
            say(f"{most:,} epochs are taken to be enough here; --budget {2 * most}ep makes twice as many")
        result.metric = problem.metric
        self.training_ = result
        return ready

    def rehearse(
        self, parts: Parts, budget: str | None = None, given: Mapping[str, Any] | None = None
    ) -> dict[str, str]:
        """Make a few steps of a fit to see what it would take; the model stays as it is.

        Args:
            given: a plan, in place of one that is made.

        Returns:
            In words: the plan, how many weights the network has, how long a step takes and how many fit into the
            budget, and the memory that the process took.

        Raises:
            InputError: data or parameters that cannot be worked with.
        """
        limit = Budget.parse(budget or self.budget)
        self.check()
        task, data = self._copy_with(parts)
        plan = task._take_plan(data, limit, given)
        return {**({"plan": plan} if plan else {}), **task.rehearsed(data, limit)}

    def rehearsed(self, data: FitData, limit: Budget) -> dict[str, str]:
        """Of a task with a plan, which is changed by it, what `rehearse` says after that."""
        from memfold import training

        _, first = self._before_training(data, limit)
        weights = sum(weight.numel() for weight in first.problem.model.parameters())
        return {"weights": f"{weights:,}", **training.rehearse(first.problem, first.settings)}

    def before_training(self, parts: Parts, budget: str | None = None) -> "Begun":
        """A fit of a copy, before its first step.

        Raises:
            InputError: data or parameters that cannot be worked with.
        """
        limit = Budget.parse(budget or self.budget)
        self.check()
        task, data = self._copy_with(parts)
        task._take_plan(data, limit, None)
        return task._before_training(data, limit)[1]

    def _before_training(self, data: FitData, limit: Budget) -> tuple[Any, "Begun"]:
        """What `prepare` made, and a training of a network that is made for it."""
        import torch

        from memfold import training

        # Find what the network's shapes depend on, then draw its first weights from the seed.
        ready = self.prepare(data)
        torch.manual_seed(self.seed)
        network = self.network()
        problem = self.problem(network, ready)
        # The settings of the loop; a fit that goes on from a model has its weights, and a pace of its own.
        special: dict[str, Any] = dict(self.loop)
        lr, patience = self.chosen.lr, self.patience
        if self.begun is not None:
            self.begun.start(self, network)
            lr, patience = self.begun.pace(self)
            special["from_start"] = True
        precision = self.chosen.precision or FLOAT32
        if data.progress and not computed_here(precision):
            say(f"precision={precision}: this processor has no instruction for it, float32 would be faster here")
        settings = training.Settings(limit, lr=lr, patience=patience, precision=precision, **special)
        return ready, training.Begun(problem, settings, lambda other: self.problem(other, ready))

    def trained(
        self,
        parts: Parts,
        budget: str,
        plan: Mapping[str, Any] | None = None,
        weights: "Mapping[str, Tensor] | None" = None,
    ) -> tuple[Self, FitData, Any]:
        """A copy that is trained as `fit` does, for a search to compare by its ``training_.best_score``.

        What follows the training is left out, which may take longer than it: before `finish` it gives no answers.

        Args:
            plan: what an earlier fit chose, in place of a new plan.
            weights: of an earlier training with the same parameters, plan and data, in place of one.

        Returns:
            The copy, and what its `finish` takes.

        Raises:
            InputError: data or parameters that cannot be worked with.
        """
        from memfold.training import Result

        limit = Budget.parse(budget)
        self.check()
        task, data = self._copy_with(parts)
        task._take_plan(data, limit, plan)
        if weights is None:
            ready = task._train(data, limit, None, False)
        else:
            ready = task.prepare(data)
            task.network_, task.training_ = task.network(), Result()
            task.network_.load_state_dict(weights)
            task.network_.eval()
        del task.progress
        return task, data, ready

    def _copy_with(self, parts: Parts) -> tuple[Self, FitData]:
        """A copy that is not fitted, and what a fit of it works on."""
        task = type(self)(**self.get_params())
        task.progress = False
        examples = task.read(parts.train)
        train, valid = task.split(examples) if parts.valid is None else (examples, task.read(parts.valid))
        return task, FitData(examples, train, valid)

    def predict(self, data: Any) -> "pl.DataFrame":
        """Answers as `table` describes them.

        Args:
            data: what `inputs` takes.

        Raises:
            InputError: not fitted yet, or data that cannot be worked with.
        """
        self.check_fitted()
        inputs = self.inputs(data)
        return self.table(inputs, self.answer(inputs))

    def array(self, X: Any) -> Any:
        """The answer to every input as an array, ``(N,)``: the column `column` of the table.

        Raises:
            InputError: not fitted yet, inputs that cannot be worked with, or a task without one answer to an input.
        """
        if self.column is None:
            raise InputError(f"{self.name} has no single answer to each input; use predict")
        self.check_fitted()
        inputs = self.inputs(X)
        return self.table(inputs, self.answer(inputs))[self.column].to_numpy()

    def score(self, X: Any, y: Any = None) -> float:
        """The first of the task's metrics, with its sign turned where less is better.

        Args:
            X, y: as for `fit`.

        Raises:
            InputError: not fitted yet, or data that cannot be scored.
        """
        self.check_fitted()
        examples = self._examples(X, y)
        first = self.metrics[0]
        return first.signed(self.scores(examples, self.answer(examples))[first.name])

    def evaluate(
        self, data: Any, name: str = "", *, report: str | Path | None = None, lang: str = "en", **options: Any
    ) -> Report:
        """Score the model beside the baselines.

        Args:
            data: examples as `read` takes them, on which the model was not trained.
            name: what to call them in the report.
            report: page to write.
            lang: language of the page, ``en`` or ``zh``.
            options: of `answer`.

        Raises:
            InputError: not fitted yet, data that cannot be scored, a page that cannot be written, or another language.
        """
        self.check_fitted()
        words = Words(lang)
        if report is not None:
            check_file(Path(report))
        begun = time.monotonic()
        examples = self.read(data)
        self.examine(examples)
        started = time.perf_counter()
        answers = self.answer(examples, **options)
        seconds = time.perf_counter() - started
        # Score the model, and the baselines beside it.
        metrics = self.scores(examples, answers)
        beside = {other: self.scores(examples, its) for other, its in self.baselines(examples, answers).items()}
        better = {metric.name: metric.better for metric in self.metrics}
        result = Report(self.name, name, metrics, beside, self.parameter_count, self.seed, better=better, language=lang)
        result.plan, result.winner = dict(self.plan_), None if self.contest_ is None else self.contest_.winner
        result.shown, result.signatures = self._shown(examples, answers, seconds), self.signatures(examples, answers)
        if report is not None:
            self.write_page(Path(report), result, examples, answers, words)
        result.seconds = time.monotonic() - begun
        return result

    def write_page(self, path: Path, report: Report, examples: Any, answers: Any, words: Words) -> None:
        """Write a page on an evaluation."""
        from memfold.tasks.page import write_evaluation  # which loads what draws

        sections = self.sections(examples, answers, words)
        training, contest = (vars(self).get(name) for name in ("training_", "contest_"))
        write_evaluation(path, report, sections, training, contest, self._footer(words), words)

    def _footer(self, words: Words) -> str:
        return words("footer evaluation", count=self.parameter_count, model=repr(self))

    def _shown(self, examples: Any, answers: Any, seconds: float) -> Sequence[Any]:
        """The details; where they need torch and there is none, nothing, which is said."""
        try:
            return self.details(examples, answers, seconds)
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            say("the scores' details need torch, which is not installed; they are left out")
            return ()

    # -- the command line ------------------------------------------------------------------------------------

    def answers(self, inputs: Sequence[str]) -> "pl.DataFrame | Iterator[str]":
        """What ``memfold predict`` writes for its inputs, a table or pieces of text; a task's own options follow."""
        self._require_inputs(inputs)
        if self.known_set(inputs):
            return self.predict(self.parts(inputs).test)
        return self.predict(inputs)

    def _require_inputs(self, inputs: Sequence[str]) -> None:
        self.check_fitted()
        if not inputs:
            what, example = self.needs
            raise InputError(f"predict needs {what}: memfold predict MODEL {example}")

    def next_command(self, out: Path, data: Sequence[str]) -> str:
        """What to type next, said after a fit."""
        then = self.then or f"memfold predict {{out}} {self.needs[1]}"
        return then.format(out=shlex.quote(str(out)), data=shlex.join(data))

    def respond(self, line: str) -> Iterator[str]:
        """What ``memfold stream`` writes for a line that it has read, piece by piece.

        Raises:
            InputError: the task does not work line by line.
        """
        raise InputError(f"a {self.name} model does not answer line by line; use memfold predict")

    def listen(self, source: BinaryIO) -> Iterator[str]:
        """What ``memfold stream`` writes, a line each, for sound that comes in.

        Raises:
            InputError: the task hears nothing, or the sound cannot be read.
        """
        raise InputError(f"a {self.name} model takes no sound")

    def explain(self, source: str, language: str = "en") -> "Explanation":
        """What the model makes of one input, by ``view`` in the module of that name beside the task's class.

        Args:
            source: a file; for a model that reads text, also the text itself.
            language: of what is said, ``en`` or ``zh``.

        Raises:
            InputError: not fitted yet, an input that cannot be read, another language, or a task that has no view.
        """
        self.check_fitted()
        self.network_.eval()
        explanation: Explanation = self._beside("view", "explained").view(self, source, Words(language))
        return replace(explanation, language=language)

    def draw(self, inputs: Sequence[str], answers: Any, folder: Path) -> list[Path]:
        """Draw answers into a folder, a file a series as SVG or a picture as PNG, by ``drawn`` beside the task's class.

        Args:
            inputs: what `answers` was given.
            answers: what it gave.
            folder: is made where it is not there.

        Returns:
            The files.

        Raises:
            InputError: a task whose answers are no pictures, or a folder that holds something already.
        """
        module = self.check_drawing(folder)
        files: list[Path] = []
        for name, content in module.drawn(self, inputs, answers):
            stem = re.sub(r"[^\w .-]", "_", name).strip(". ")[:80] or "series"
            again = sum(file.stem == stem or file.stem.startswith(f"{stem} (") for file in files)
            ending = ".png" if content.startswith(b"\x89PNG") else ".svg"
            files.append(folder / f"{stem}{f' ({again + 1})' if again else ''}{ending}")
            write_into(files[-1], content)
        return files

    def check_drawing(self, folder: Path) -> ModuleType:
        """Make sure, before the work, that answers can be drawn into a folder; what draws them.

        Raises:
            InputError: as `draw`.
        """
        self.check_fitted()
        module = self._beside("drawn", "drawn (its answers are words or numbers)")
        check_new_folder(folder)
        return module

    # -- leaving memfold -------------------------------------------------------------------------------------

    def recipe(self) -> Recipe:
        """The model as parts that are functions of tensors, and what a caller does around them.

        It is made by ``recipe`` in the module of that name beside the task's class.

        Raises:
            InputError: not fitted yet, or a task that has none.
        """
        self.check_fitted()
        self.network_.eval()
        result: Recipe = self._beside("recipe", "exported").recipe(self)
        return result

    def through(self, exported: Mapping[str, Run]) -> Self:
        """A copy that answers through exported parts, by their names, in place of its network."""
        result = copy.copy(self)
        vars(result).pop("pipeline", None)
        vars(result)["_exported"] = exported
        return result

    def _beside(self, name: str, done: str) -> ModuleType:
        """A module in the folder of a task's class; of a class derived from it elsewhere, the same one.

        Raises:
            InputError: the task has none.
        """
        for base in type(self).__mro__:
            package = base.__module__.rpartition(".")[0]
            if issubclass(base, Task) and package and importlib.util.find_spec(f"{package}.{name}"):
                return importlib.import_module(f"{package}.{name}")
        raise InputError(
            f"a {self.name} model cannot be {done}: there is no module {name} beside {type(self).__name__}"
        )

    # -- models on disk --------------------------------------------------------------------------------------

    @classmethod
    def fitted_types(cls) -> dict[str, Any]:
        """The types of what fitting finds besides the weights, by name in ``config.json``."""
        stored = [field for field in fields(cls) if field.metadata.get("stored")]
        return {
            field.name.rstrip("_"): field.type if field.metadata["absent"] is None else NotRequired[field.type]
            for field in stored
        }

    def save(self, path: str | Path, report: Report | None = None, command: str = "") -> None:
        """Save the fitted model as a folder: configuration, weights and model card.

        Args:
            report: scores for the model card.
            command: for the model card, what made the model.

        Raises:
            InputError: not fitted yet, or the folder cannot be written.
        """
        from memfold.formats.weights import write_weights

        self.check_fitted()
        config = self._config()
        weights = dict(self.network_.state_dict())
        unfinished = self.training_.stopped == "interrupted"
        write_model(
            Path(path),
            config,
            lambda file: write_weights(file, weights),
            self._card(report, command),
            files=self.fitted_files(),
            keep_checkpoint=unfinished,
        )

    def _config(self) -> dict[str, Any]:
        """What ``config.json`` holds of the model; before `finish` has ended, of what there is."""
        there = vars(self)
        return {
            "task": self.name,
            **({"runtime": self.runtime} if self._answers_alone() else {}),
            "memfold": version("memfold"),
            "torch": version("torch"),
            "parameters": encode(self.get_params()),
            "plan": encode(self.plan_),
            "contest": encode(there.get("contest_")),
            "training": encode(there.get("training_")),
            "fitted": {name: encode(there[f"{name}_"]) for name in self.fitted_types() if f"{name}_" in there},
            "weights": self.parameter_count,
            **({"data": encode(there["kept_"])} if "kept_" in there else {}),
        }

    @classmethod
    def from_folder(cls, path: Path, config: dict[str, Any]) -> Self:
        """The model in a folder whose ``config.json`` has been read and checked; without torch where it answers so, or
        where there is none and the folder holds exported parts.

        Raises:
            InputError: what the folder holds is no such model.
        """
        weights = Weights.read(path / WEIGHTS)
        try:
            task = cls._restored(path, config)
            vars(task)["_stored"] = weights
            if task._answers_alone():
                kind, files = pipeline_class(cls.runtime), read_files(path, config)
                vars(task)["pipeline"] = task._made(kind.from_config(config, weights, files))
                weights.finish()
            elif importlib.util.find_spec("torch") is None and exported_in(config):
                vars(task)["_exported"] = {name: run_of(path / file) for name, file in exported_in(config).items()}
            else:
                task._make_network()
        except UNREADABLE as error:
            if isinstance(error, InputError) and str(error).startswith(weights.where):
                raise
            reason = " ".join(str(error).split())[:500]
            raise InputError(f"{path / 'config.json'}: does not describe a {cls.name} model ({reason})") from None
        return task

    def _make_network(self) -> None:
        """Make the network of a loaded model."""
        import torch

        from memfold.formats.weights import at_most_tensors, checked_weights

        weights = self._stored
        assert weights is not None
        with torch.device("meta"), at_most_tensors(len(weights.arrays)):
            expected = self._whole_network().state_dict()
        tensors = checked_weights(weights.arrays, weights.where, expected)
        network = self._whole_network()
        network.load_state_dict(tensors)
        network.eval()
        vars(self).pop("_stored")
        self.network_ = network

    @cached_property
    def pipeline(self) -> Pipeline[Any]:
        """The model as it answers without torch.

        Raises:
            InputError: the task has no such form.
        """
        if not self._answers_alone():
            raise InputError(f"this {self.name} model answers with torch alone")
        kind, config = pipeline_class(self.runtime), json.loads(json.dumps(self._config()))
        return self._made(kind.from_config(config, self._weights(), self.fitted_files()))

    def _weights(self) -> Weights:
        """Those of the network, which is not made for them."""
        if self._stored is not None:
            return self._stored
        return Weights({name: value.detach().cpu().numpy() for name, value in self.network_.state_dict().items()})

    def _answers_alone(self) -> bool:
        """Whether this very model answers without torch."""
        return bool(self.runtime)

    def _made(self, pipeline: Pipeline[Any]) -> Pipeline[Any]:
        """A pipeline with what a task adds to it."""
        self.add_to(pipeline)
        if self._exported is not None:
            self.put_parts(pipeline, self._exported)
        return pipeline

    @classmethod
    def _restored(cls, path: Path, config: dict[str, Any]) -> Self:
        """A task with the parameters and all that fitting found but the network."""
        unknown = sorted(config.keys() - KEYS)
        if unknown:
            raise InputError(f"{shown(unknown[0])} is unknown there")
        parameters = {p.name: NotRequired[p.hint] for p in parameters_of(cls)}  # a missing one has its default
        check(config["parameters"], parameters, "parameters")
        check(config["fitted"], cls.fitted_types(), "fitted")
        given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in config["parameters"].items()}
        task = cls(**given)
        task.check()
        planned = [p for p in parameters_of(cls) if p.planned]
        task.plan_ = checked_plan(config.get("plan", {}), planned, "plan")
        check(config.get("contest"), Contest | None, "contest")
        task.contest_ = decode(config.get("contest"), Contest | None)
        check(config.get("training"), Result | None, "training")
        task.training_ = decode(config.get("training"), Result | None) or Result()
        check(config.get("data"), Kept | None, "data")
        task.kept_ = decode(config.get("data"), Kept | None) or Kept()
        check(config.get("weights"), int | None, "weights")
        vars(task)["_weight_count"] = config.get("weights")
        task.restore_files(read_files(path, config))
        for field in fields(cls):
            if not field.metadata.get("stored"):
                continue
            name = field.name.rstrip("_")
            there = name in config["fitted"]
            setattr(task, field.name, decode(config["fitted"][name], field.type) if there else field.metadata["absent"])
        task.check_restored()
        return task

    def _whole_network(self) -> "nn.Module":
        network = self.network()
        self.complete(network)
        return network

    @staticmethod
    def check_agree(*counts: tuple[str, int, int]) -> None:
        """Refuse what fitting is said to have found when its parts do not fit each other.

        Args:
            counts: what is counted, how many there are, and how many there must be.

        Raises:
            InputError: naming the first that differs.
        """
        for what, actual, expected in counts:
            if actual != expected:
                raise InputError(f"{what}: {actual}, expected {expected}")

    def check_fitted(self) -> None:
        """Raise NotFittedError unless the model is fitted."""
        if self._stored is None:
            _ = self.network_

    @property
    def parameter_count(self) -> int:
        """The number of weights that are trained."""
        if self._weight_count is not None:
            return self._weight_count
        return sum(weight.numel() for weight in self.network_.parameters())

    def _card(self, report: Report | None, command: str) -> str:
        import torch

        lines = [f"# A memfold {self.name} model", ""]
        lines += [f"Made by `{command}`." if command else f"Made by `{self!r}`.", ""]
        result = self.training_
        lines += [
            f"- training: {result.steps} steps in {result.seconds:.0f} s, ended by {result.stopped}; "
            f"best validation score {result.best_score:.4f} at step {result.best_step}; seed {self.seed}",
            f"- {self.parameter_count:,} parameters; memfold {version('memfold')}, torch {version('torch')}, "
            f"{platform.machine()}, {torch.get_num_threads()} threads",
        ]
        if self.plan_:
            lines.append(f"- chosen from the data and the machine: {Plan(self.plan_)}")
        if self.contest_ is not None:
            lines.append(f"- {self.contest_}")
        if report is not None:
            names = list(report.metrics)
            lines += [f"- data: {report.data}", "", f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
            for name, scores in {"this model": report.metrics, **report.baselines}.items():
                cells = [f"{scores[n]:.4g}" if n in scores else "" for n in names]
                lines.append(f"| {name} | {' | '.join(cells)} |")
            if report.signatures:
                lines += ["", *(f"- {name}: `{text}`" for name, text in report.signatures.items())]
        lines += ["", "The weights bear the licence that you give them; mind that of the data.", ""]
        return "\n".join(lines)


@contextmanager
def _alone_in(place: Path | None, resume: bool, overwrite: bool) -> Iterator[None]:
    """While a fit keeps its checkpoint in a folder, which it makes: refuse another fit that does."""
    if place is None:
        yield
        return
    made = not place.exists()
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{place}: cannot be made ({error}); choose another folder") from None
    with locked(place) as free:
        if not free:
            raise InputError(f"{place}: another fit writes into this folder; wait for its end, or choose another one")
        check_place(place, resume=resume, overwrite=overwrite)  # once more: another may have come and ended
        try:
            yield
        finally:
            if made:
                with suppress(OSError):  # holds something, unless the fit was refused
                    place.rmdir()


def _plan_in(folder: Path) -> Mapping[str, Any] | None:
    """What the unfinished training in a folder has chosen; None where there is none."""
    from memfold.formats.checkpoint import read_counters

    file = folder / CHECKPOINT
    return json.loads(read_counters(file)["identity"]).get("plan") if file.is_file() else None
