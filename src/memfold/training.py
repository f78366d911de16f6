"""The one training loop: a budget, a schedule that follows it, the best weights so far, and a checkpoint to resume
from.

It knows nothing of series, text or sound: a task describes itself as a `Problem`.
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from memfold import _engine
from memfold.adamw import AdamW
from memfold.budget import Budget
from memfold.errors import InputError
from memfold.formats.checkpoint import read_checkpoint, write_checkpoint
from memfold.nn.ops import clock
from memfold.system import most_memory
from memfold.trained import Result, Validation

STOPPED_SECONDS = 5.0  # a step that takes longer with hardly any work done: somebody stopped the process

__all__ = ["Begun", "Budget", "Problem", "Result", "Settings", "Validation", "rehearse", "train"]


class Problem(ABC):
    """What is trained.

    So that a resumed training repeats itself, `batches` draws from a generator seeded by the epoch's number, and `loss`
    from torch's global one.
    """

    model: nn.Module
    metric: str  # the name of what `validate` returns
    steps_per_epoch: int
    unit: str = "steps"  # what `count` counts
    most_epochs: int | None = None  # that a budget in time is used for; None for as many as fit

    @abstractmethod
    def batches(self, epoch: int) -> Iterable[Any]:
        """One pass over the training part; the same batches whenever it is asked for the same epoch."""

    @abstractmethod
    def loss(self, batch: Any) -> Tensor:
        """The mean loss of a batch, a scalar with a gradient."""

    def count(self, batch: Any) -> int:
        """How much a batch holds, for the speed that is shown: its words, say, where `unit` is "words"."""
        return 1

    @abstractmethod
    def validate(self) -> float:
        """The score on the validation part; lower is better. Called in eval mode and without gradients."""

    def solved(self) -> bool:
        """Whether nothing is left to learn, which ends the training; asked after every validation."""
        return False

    def carried(self) -> dict[str, Tensor]:
        """Tensors that one batch hands to the next, such as a recurrent state; they go into the checkpoint."""
        return {}

    def restore(self, carried: dict[str, Tensor]) -> None:  # noqa: B027
        """Take back what `carried` gave."""


@dataclass(frozen=True)
class Settings:
    """The knobs of the loop.

    Attributes:
        lr: peak learning rate of AdamW.
        precision: what a step multiplies in; in bfloat16 by `torch.autocast`, which leaves weights and the sums in
            float32. Validations are in float32, as whatever answers later is.
        warm_up: share of the budget over which the rate rises linearly; it then falls along a cosine (Loshchilov &
            Hutter 2017, eq. 5).
        last_rate: share of the peak rate to which it falls; 1 keeps it.
        clip_norm: bound of the gradient's Euclidean norm.
        average: decay a step of the running average of the weights, which is what is validated and kept; it grows from
            0, so that the first weights are soon forgotten.
        validations: how often to validate, evenly over the budget.
        every: steps from one validation to the next, and one at the end, instead of that.
        patience: stop after so many validations without a better one; None never stops early.
        from_start: validate before the first step, so that the weights that it starts from are among those to keep.
        checkpoint_seconds: write a checkpoint at least this often, and at every validation.
    """

    budget: Budget
    lr: float = 2e-3
    precision: Literal["float32", "bfloat16"] = "float32"
    weight_decay: float = 1e-2
    warm_up: float = 0.05
    last_rate: float = 0.01
    clip_norm: float = 1.0
    average: float = 0.99
    validations: int = 20
    every: int | None = None
    patience: int | None = None
    from_start: bool = False
    checkpoint_seconds: float = 30.0


class Progress(Protocol):
    """Receives the loop's progress."""

    def step(self, fraction: float, epoch: int, loss: float) -> None: ...
    def validated(self, row: Validation, metric: str, best: bool) -> None: ...


def train(
    problem: Problem,
    settings: Settings,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    identity: str = "",
    progress: Progress | None = None,
) -> Result:
    """Train a problem's model within a budget and leave the best weights in it.

    Args:
        checkpoint: file to keep a checkpoint in; None keeps none.
        resume: go on from that file when it is there.
        identity: what a checkpoint must agree on to be resumed, such as a hash of the data and the settings.
        progress: called after every step and every validation.

    Returns:
        What happened. Ctrl-C and a loss that is not finite end the training early, with the best weights so far
        (the last good ones before the first validation) and a message in the result.

    Raises:
        InputError: the checkpoint is not one, or belongs to another training.
    """
    loop = _Loop(problem, settings, checkpoint, identity, progress)
    if resume and checkpoint is not None and checkpoint.exists():
        loop.load()
    try:
        loop.run()
    except KeyboardInterrupt:
        loop.result.stopped, loop.result.message = "interrupted", f"interrupted at step {loop.result.steps}"
    except _NonFiniteError as error:
        loop.result.stopped = "non-finite"
        loop.result.message = str(error)
    finally:
        if loop.threads:
            loop.threads.restore()
    loop.keep_best()
    return loop.result


@dataclass(frozen=True)
class Begun:
    """A training before its first step.

    Attributes:
        make: the problem of another network of the same shapes, on the same data.
    """

    problem: Problem
    settings: Settings
    make: Callable[[nn.Module], Problem]

    def like(self, network: nn.Module) -> "Begun":
        """The same training of another network."""
        return replace(self, problem=self.make(network))

    def loop(self) -> "_Loop":
        """A loop that takes single steps, with an optimiser of its own."""
        return _Loop(self.problem, self.settings, None, "", None)


def rehearse(problem: Problem, settings: Settings, steps: int = 3) -> dict[str, str]:
    """Make a few steps to see what a training takes; the model's weights are changed by them.

    Returns:
        In words: ``"speed"``, the seconds of a step and the steps of the budget, and ``"memory"``, the most that the
        process has taken so far.
    """
    loop = _Loop(problem, settings, None, "", None)
    batches = loop.batches()
    loop.take_step(next(batches), settings.lr)  # the first one allocates what the others use again
    begun = time.perf_counter()
    for _ in range(steps):
        loop.take_step(next(batches), settings.lr)
    seconds = (time.perf_counter() - begun) / steps
    budget, epoch = settings.budget, problem.steps_per_epoch
    by_epochs = math.inf if loop.epochs is None else loop.epochs * epoch
    by_seconds = math.inf if budget.seconds is None else budget.seconds / seconds
    count = min(by_epochs, by_seconds)
    speed = f"{seconds:.3g} s a step; {count:,.0f} steps, {count / epoch:.3g} epochs, in {count * seconds:,.0f} s"
    return {"speed": speed, "memory": f"{most_memory() / 1e6:,.0f} MB so far, with the weights and {steps} steps"}


class _NonFiniteError(Exception):
    """The loss or its gradient left the finite numbers."""


class _Threads:
    """How many threads torch's own operators have during a training by the clock.

    An operator waits for all of its threads: beside a program that has taken a core, on one thread it is faster. Where
    the steps are counted this is left alone, since torch's sums depend on the number of threads.
    """

    def __init__(self, wanted: int) -> None:
        self.wanted, self.alone = wanted, False

    def follow_the_machine(self) -> None:
        """As many as wanted, or one while other programs have taken cores."""
        if self.wanted > 1 and _engine.works_alone(self.wanted) != self.alone:
            self.alone = not self.alone
            torch.set_num_threads(1 if self.alone else self.wanted)

    def restore(self) -> None:
        if self.alone:
            torch.set_num_threads(self.wanted)


class _Loop:
    def __init__(
        self, problem: Problem, settings: Settings, checkpoint: Path | None, identity: str, progress: Progress | None
    ) -> None:
        self.problem, self.settings, self.progress = problem, settings, progress
        self.checkpoint, self.identity = checkpoint, identity
        self.model = problem.model
        self.optimizer = AdamW(self.model, settings.weight_decay, settings.clip_norm)
        self.result = Result()
        self.best: dict[str, Tensor] | None = None
        self.epoch, self.step_in_epoch = 0, 0
        self.passed = 0  # of the points where a validation is due
        self.since_best = 0  # validations
        self.loss_sum, self.loss_count = 0.0, 0
        self.validation_seconds = 0.0  # of the longest so far
        self.threads = _Threads(torch.get_num_threads()) if settings.budget.seconds is not None else None
        self.started = time.monotonic()
        self.saved = self.started

    # -- where we are --------------------------------------------------------------------------------------------------

    def elapsed(self) -> float:
        return time.monotonic() - self.started

    @property
    def epochs(self) -> float | None:
        """Passes over the data that end the training, where there is such a number."""
        return self.problem.most_epochs if self.settings.budget.epochs is None else self.settings.budget.epochs

    def fraction(self) -> float:
        """The share of the budget that is used up, 0 to 1; the last validation's time is set aside."""
        budget, epochs = self.settings.budget, self.epochs
        used = []
        if epochs is not None:
            used.append(self.result.steps / (epochs * self.problem.steps_per_epoch))
        if budget.seconds is not None:
            used.append(self.elapsed() / max(budget.seconds - self.validation_seconds, 1e-9))
        return min(1.0, max(used))

    def due(self, fraction: float) -> int:
        """How many validations there should have been when that share of the budget is used."""
        if self.settings.every is None:
            return int(fraction * self.settings.validations)
        return self.result.steps // self.settings.every + (fraction >= 1)

    def rate(self, fraction: float) -> float:
        s = self.settings
        if fraction < s.warm_up:
            return s.lr * max(fraction / s.warm_up, 0.01)
        cosine = math.cos(math.pi * (fraction - s.warm_up) / (1 - s.warm_up))
        return s.lr * (s.last_rate + (1 - s.last_rate) * 0.5 * (1 + cosine))

    # -- the loop ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        if self.settings.from_start and self.result.steps == 0:
            self.validate()
        for batch in self.batches():
            if self.done():
                break
            # Take a step, and show how much of the budget is used.
            loss = self.timed_step(batch)
            fraction = self.fraction()
            if self.progress:
                self.progress.step(fraction, self.epoch, loss)
            # Validate and save as often as the settings ask; in between, save from time to time.
            if self.due(fraction) > self.passed:
                self.passed = self.due(fraction)
                self.validate()
                self.save()
            elif time.monotonic() - self.saved > self.settings.checkpoint_seconds:
                self.save()

    def done(self) -> bool:
        if self.settings.patience is not None and self.since_best >= self.settings.patience:
            self.result.stopped = "patience"
            return True
        if self.passed and self.problem.solved():
            self.result.stopped = "solved"
            return True
        if self.passed < self.due(1.0):
            return False
        most = self.problem.most_epochs
        if self.settings.budget.epochs is None and most and self.result.steps >= most * self.problem.steps_per_epoch:
            self.result.stopped = "enough"
        return True

    def batches(self) -> Iterator[Any]:
        """Batches of one epoch after another, from where a checkpoint left off."""
        while True:
            for batch in islice(self.problem.batches(self.epoch), self.step_in_epoch, None):
                self.step_in_epoch += 1
                yield batch
            self.epoch += 1
            self.step_in_epoch = 0

    def timed_step(self, batch: Any) -> float:
        if self.threads:
            self.threads.follow_the_machine()
        # Take the step, and note what it took by the clock, in the recurrent layers and on the processor.
        begun = time.perf_counter()
        in_engine = clock.seconds
        worked = time.process_time()
        loss = self.take_step(batch, self.rate(self.fraction()))
        taken = time.perf_counter() - begun
        if taken > STOPPED_SECONDS and time.process_time() - worked < taken / 10:
            self.started += taken  # the process was stopped: nothing was trained
        self.result.step_seconds += taken
        self.result.engine_seconds += clock.seconds - in_engine
        self.result.units += self.problem.count(batch)
        return loss

    def take_step(self, batch: Any, rate: float) -> float:
        # A training that diverges stops here.
        self.model.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
            loss = self.problem.loss(batch)
        value = loss.item()
        if not math.isfinite(value):
            raise _NonFiniteError(self.explain(f"the loss became {value}", rate))
        self.model.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.update(rate, value)
        self.loss_sum += value
        self.loss_count += 1
        return value

    def update(self, rate: float, value: float = math.nan) -> None:
        """Move the weights along their gradients, whose norm is bounded, and their running average after them.

        Args:
            rate: the learning rate at this moment.
            value: of the loss, for the message where the gradient is not finite.
        """
        steps = self.result.steps + 1
        decay = min(self.settings.average, (1 + steps) / (10 + steps))
        norm = self.optimizer.step(rate, 1 - decay)
        if not math.isfinite(norm):
            raise _NonFiniteError(self.explain(f"the gradient's norm became {norm} at a loss of {value:.4g}", rate))
        self.result.steps = steps

    def explain(self, what: str, rate: float) -> str:
        before = f"{self.loss_sum / self.loss_count:.4g} on average before" if self.loss_count else "no step before"
        first = self.result.steps < 3
        cause = "an input that is not finite or far out of scale" if first else "a learning rate too high for this data"
        kept = "the best weights so far are kept" if self.best else "the weights before that step are kept"
        return (
            f"step {self.result.steps + 1}, epoch {self.epoch + 1}: {what} ({before}, lr {rate:.2g}); "
            f"the likely cause is {cause}; {kept}"
        )

    @torch.no_grad()
    def validate(self) -> None:
        begun = time.monotonic()
        self.model.eval()
        # Score the averaged weights, then put the current ones back.
        current = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.optimizer.average)
        score = self.problem.validate()
        self.model.load_state_dict(current)
        result = self.result
        # Keep the averaged weights where they are the best so far.
        better = score < result.best_score  # False for NaN
        if better:
            result.best_score, result.best_step, self.since_best = score, result.steps, 0
            self.best = {name: value.clone() for name, value in self.optimizer.average.items()}
        else:
            self.since_best += 1
        # Add a point to the curve, and start the mean of the training loss anew.
        loss = self.loss_sum / self.loss_count if self.loss_count else math.nan
        row = Validation(result.steps, self.epoch, self.elapsed(), loss, score)
        self.loss_sum, self.loss_count = 0.0, 0
        if result.steps:
            result.curve.append(row)
        self.validation_seconds = max(self.validation_seconds, time.monotonic() - begun)
        if self.progress:
            self.progress.validated(row, self.problem.metric, better)

    def keep_best(self) -> None:
        if self.best is not None:
            self.model.load_state_dict(self.best)
        self.model.eval()
        self.result.seconds = self.elapsed()

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def save(self) -> None:
        if self.checkpoint is None:
            return
        # Weights, their average, the best so far, the optimiser's and the problem's state, random numbers.
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.optimizer.average.items()}
        tensors |= {f"best.{name}": value for name, value in (self.best or {}).items()}
        tensors |= {f"optimizer.{name}": value for name, value in self.optimizer.state().items()}
        tensors |= {f"carried.{name}": value for name, value in self.problem.carried().items()}
        tensors["random.torch"] = torch.get_rng_state()
        # Where the training is.
        counters = {
            "identity": self.identity,
            "result": asdict(self.result),
            "epoch": self.epoch,
            "step_in_epoch": self.step_in_epoch,
            "passed": self.passed,
            "since_best": self.since_best,
            "loss_sum": self.loss_sum,
            "loss_count": self.loss_count,
            "validation_seconds": self.validation_seconds,
            "elapsed": self.elapsed(),
        }
        write_checkpoint(self.checkpoint, tensors, counters)
        self.saved = time.monotonic()

    def load(self) -> None:
        assert self.checkpoint is not None
        tensors, counters = read_checkpoint(self.checkpoint)
        if counters["identity"] != self.identity:
            raise InputError(
                f"{self.checkpoint}: belongs to a training with other data or settings; "
                "give the same ones to resume it, or another folder to start anew"
            )
        # Sort the tensors by what they belong to.
        names = ("model", "average", "best", "optimizer", "carried", "random")
        parts: dict[str, dict[str, Tensor]] = {name: {} for name in names}
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = value
        # Weights, the best so far and the optimiser's; the problem's own state, and the random numbers.
        self.model.load_state_dict(parts["model"])
        self.best = parts["best"] or None
        self.optimizer.restore(parts["optimizer"], parts["average"])
        self.problem.restore(parts["carried"])
        torch.set_rng_state(parts["random"]["torch"])
        # Where the training was.
        result = counters["result"]
        result["curve"] = [Validation(**row) for row in result["curve"]]
        self.result = Result(**result)
        self.epoch, self.step_in_epoch = counters["epoch"], counters["step_in_epoch"]
        self.passed, self.since_best = counters["passed"], counters["since_best"]
        self.loss_sum, self.loss_count = counters["loss_sum"], counters["loss_count"]
        self.validation_seconds = counters["validation_seconds"]
        self.started = time.monotonic() - counters["elapsed"]
