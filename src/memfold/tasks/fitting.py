"""How a task is fitted: what it reads is split, a plan chosen, the network trained, and the rest found after that."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from memfold.budget import Budget
from memfold.data.hashing import digest
from memfold.data.seen import Seen
from memfold.display import say
from memfold.errors import InputError, shown
from memfold.formats.directory import CHECKPOINT, check_place
from memfold.formats.schema import encode
from memfold.system import locked
from memfold.tasks.advice import advice, better_baseline, rarest_of
from memfold.tasks.contest import ALONE, ANSWER
from memfold.tasks.fit_data import FitData
from memfold.tasks.parameters import parameters_of
from memfold.tasks.planning import Plan, checked_plan, speed_for
from memfold.tasks.precision import BFLOAT16, FLOAT32, pays_here, precision_for
from memfold.tasks.report import Parts, Report
from memfold.tasks.state import State
from memfold.tasks.updating.kept import kept_rows
from memfold.tasks.updating.origin import Origin
from memfold.words import Said

if TYPE_CHECKING:
    from torch import Tensor

    from memfold.training import Begun

__all__ = ["Fitting"]


class Fitting(State):
    """A task, with the course of its fit."""

    begun: ClassVar[Origin | None] = None  # of a fit that goes on from a model, where it goes on from; set on its copy
    progress = False  # whether reading shows how far it is; a fit sets it on its copy

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

    def _examples(self, X: Any, y: Any) -> Any:
        return self.read(X) if y is None else self.labelled(X, y)

    def _copy_with(self, parts: Parts) -> tuple[Self, FitData]:
        """A copy that is not fitted, and what a fit of it works on."""
        task = type(self)(**self.get_params())
        task.progress = False
        examples = task.read(parts.train)
        train, valid = task.split(examples) if parts.valid is None else (examples, task.read(parts.valid))
        return task, FitData(examples, train, valid)

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
                speed = speed_for(budget)
                plan = self.plan(data.train, data.valid, budget, speed)
                plan = replace(plan, speed=None if budget.seconds is None else speed)
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
        if data.progress and not pays_here(precision):
            say(f"precision={precision}: float32 would be faster here")
        settings = training.Settings(limit, lr=lr, patience=patience, precision=precision, **special)
        return ready, training.Begun(problem, settings, lambda other: self.problem(other, ready))

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

    # -- a fit in parts --------------------------------------------------------------------------------------

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

    # -- going on from the model in `begun` ------------------------------------------------------------------

    def updating(self) -> ModuleType | None:
        """The module ``update`` beside the task's class: what an update must know of it; None where it has none."""
        try:
            return self.beside("update", "updated")
        except InputError:
            return None

    def grown(self, name: str, fresh: Sequence[Any]) -> list[Any]:
        """What a fit finds in its data, such as classes; of one that goes on from a model, after what that found."""
        old = [] if self.begun is None else list(getattr(self.begun.model, name))
        known = set(old)
        return [*old, *(entry for entry in fresh if entry not in known)]

    def also_seen(self, seen: Seen) -> str:
        """The hashes of what a fit has seen, with those of the model that it goes on from."""
        return str(seen if self.begun is None else seen.with_those_of(Seen.parse(getattr(self.begun.model, "seen_"))))  # noqa: B009


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
