"""One trial of a search: a fit of the training part, scored on the validation part."""

import functools
import io
import math
import time
from collections.abc import Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from memfold.bulk.loading import one_thread
from memfold.errors import InputError
from memfold.tasks.registry import task_class

if TYPE_CHECKING:
    from memfold.tasks.model import Task
    from memfold.tasks.report import Parts

__all__ = ["Trial", "Tried", "finished", "model_of", "parts_for", "try_out"]


@dataclass(frozen=True)
class Trial:
    """What a trial fits; it can be pickled.

    Attributes:
        number: 0 is the default.
        task: name of the task.
        data: files, or ``@NAME``.
        fixed: parameters of all trials.
        settings: parameters of this one.
        seconds: of training.
        plan: for what is left open; made anew when None.
        alone: whether it has no process to itself, and may use every thread.
    """

    number: int
    task: str
    data: tuple[str, ...]
    fixed: Mapping[str, Any]
    settings: Mapping[str, Any]
    seconds: float
    plan: Mapping[str, Any] | None = None
    alone: bool = True


@dataclass(frozen=True)
class Tried:
    """What became of a trial.

    Attributes:
        score: on the validation part, less is better; infinite where there is none.
        seconds: that it took, with reading and validation.
        steps: of the training.
        stopped: why the training ended; "refused" where it did not begin.
        error: why, in words.
        plan: what was chosen for what was left open.
        weights: of the network, by name.
    """

    score: float
    seconds: float
    steps: int = 0
    stopped: str = "refused"
    error: str = ""
    plan: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, Any] = field(default_factory=dict)


def try_out(trial: Trial) -> Tried:
    """Train the model of a trial; what is said of the data is not shown again."""
    begun = time.monotonic()
    if not trial.alone:
        one_thread()
    try:
        with redirect_stderr(io.StringIO()):
            parts = parts_for(trial)
            model, _, _ = model_of(trial).trained(parts, f"{trial.seconds}s", trial.plan)
    except InputError as error:
        return Tried(math.inf, time.monotonic() - begun, error=str(error))
    result = model.training_
    score = result.best_score if math.isfinite(result.best_score) else math.inf
    weights = {name: value.numpy() for name, value in model.network_.state_dict().items()}
    seconds = time.monotonic() - begun
    return Tried(score, seconds, result.steps, result.stopped, result.message, dict(model.plan_), weights)


def finished(trial: Trial, tried: Tried) -> "Task":
    """The model of a trial, with all that a fit finds after the training."""
    import torch

    weights = {name: torch.from_numpy(value) for name, value in tried.weights.items()}
    budget = f"{trial.seconds}s"
    with redirect_stderr(io.StringIO()):
        model, data, ready = model_of(trial).trained(parts_for(trial), budget, tried.plan, weights)
        model.contest_ = model.finish(data, ready)
    return model


def model_of(trial: Trial) -> "Task":
    """The model of a trial, not fitted."""
    return task_class(trial.task)(**{**trial.fixed, **trial.settings})


def parts_for(trial: Trial) -> "Parts":
    """The parts of the data as a trial's model reads them; read once in a process, but for images of another size.

    Raises:
        InputError: data that cannot be worked with.
    """
    reading = {**trial.fixed, **{name: value for name, value in trial.settings.items() if name == "size"}}
    return _parts(trial.task, trial.data, tuple(sorted(reading.items())))


@functools.lru_cache(maxsize=4)
def _parts(task: str, data: tuple[str, ...], parameters: tuple[tuple[str, Any], ...]) -> "Parts":
    return task_class(task)(**dict(parameters)).parts(data)
