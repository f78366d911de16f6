"""What all tasks share: parameters in scikit-learn's manner, and models saved and loaded."""

import importlib
import importlib.util
import inspect
import json
import math
import platform
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Self

import torch
from torch import nn

from memfold.data.datasets import DataSet, known_set
from memfold.errors import InputError, shown
from memfold.formats.directory import (
    CHECKPOINT,
    check_place,
    count_weights,
    read_config,
    read_files,
    read_weights,
    write_model,
)
from memfold.formats.schema import at_most_tensors, check, check_parameters
from memfold.training import Problem, Result, Settings, train

if TYPE_CHECKING:
    import polars as pl

    from memfold.explain import Explanation

__all__ = ["TASKS", "Parts", "Report", "Task", "load", "one_source", "task_class"]

TASKS = {
    "anomaly": "memfold.tasks.anomaly:AnomalyDetector",
    "classify": "memfold.tasks.classify:ImageClassifier",
    "command": "memfold.tasks.command:CommandRecognizer",
    "detect": "memfold.tasks.detect:ObjectDetector",
    "faces": "memfold.tasks.faces:FaceRecognizer",
    "forecast": "memfold.tasks.forecast:Forecaster",
    "generate": "memfold.tasks.generate:TextGenerator",
    "sentiment": "memfold.tasks.sentiment:TextClassifier",
    "transcribe": "memfold.tasks.transcribe:SpeechRecognizer",
    "translate": "memfold.tasks.translate:Translator",
}

KEYS = {"format", "format_version", "files", "task", "memfold", "torch", "parameters", "fitted"}  # of config.json

EXTRAS = {  # what to install for which tasks
    "series": ("anomaly", "forecast"),
    "text": ("generate", "sentiment", "translate"),
    "audio": ("command", "transcribe"),
    "vision": ("classify", "detect", "faces"),
}


def task_class(name: str) -> "type[Task]":
    """The class of a task.

    Raises:
        InputError: there is no such task, or a package that it needs is not installed.
    """
    if name not in TASKS:
        raise InputError(f"no task {name!r}; there is {', '.join(TASKS)}")
    module, _, attribute = TASKS[name].partition(":")
    try:
        found: type[Task] = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        extra = next(extra for extra, names in EXTRAS.items() if name in names)
        raise InputError(f"{name} needs {error.name}: pip install 'memfold[train,{extra}]'") from None
    return found


def load(path: str | Path) -> "Task":
    """Load a model that a task saved; everything is checked before anything is allocated.

    Raises:
        InputError: the folder holds no model, or one that is truncated, altered or of another version.
    """
    path = Path(path)
    config = read_config(path)
    if not isinstance(config.get("task"), str) or config["task"] not in TASKS:
        raise InputError(
            f"{path}: is a model for the task {shown(config.get('task'))}; this memfold has {', '.join(TASKS)}"
        )
    return task_class(config["task"]).from_folder(path, config)


def one_source(data: Sequence[str]) -> str:
    """The one path of a task that reads no more.

    Raises:
        InputError: there are several.
    """
    if len(data) != 1:
        raise InputError(f"{len(data)} files given; this task reads one")
    return data[0]


@dataclass
class Report:
    """The outcome of a fit or an evaluation, as ``--json`` prints it.

    Attributes:
        metrics: of the model, by flat name.
        baselines: by name, the first one being the task's standard one; each by the same flat names.
        shown: tables and texts that a terminal shows below the scores, as rich takes them.
        signatures: of metrics that have one, how they were computed.
    """

    task: str
    data: str
    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]]
    parameters: int
    seed: int
    seconds: float = 0.0
    shown: Sequence[Any] = ()
    signatures: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """One flat object of the contract's names."""
        (name, first), *_ = self.baselines.items()
        return {
            "task": self.task,
            "data": self.data,
            "metrics": _numbers(self.metrics),
            "baseline": {"name": name, **_numbers(first)},
            "baselines": [{"name": name, **_numbers(scores)} for name, scores in self.baselines.items()],
            "seconds": round(self.seconds, 2),
            "seed": self.seed,
            "parameters": self.parameters,
            "memfold": version("memfold"),
            "torch": torch.__version__,
            **({"signatures": dict(self.signatures)} if self.signatures else {}),
        }


@dataclass(frozen=True)
class Parts:
    """Data for a fit, as the task reads it.

    Attributes:
        train: what to learn from.
        test: what is scored once, at the end.
        valid: what to validate on, where the data set has such a part; else a part of ``train`` serves.
        scoring: what `Task.evaluate` should know of the test part.
    """

    train: Any
    test: Any
    valid: Any = None
    scoring: Mapping[str, Any] = field(default_factory=dict)


def _numbers(scores: Mapping[str, float]) -> dict[str, float | None]:
    """Scores as JSON has them: what is undefined is null."""
    return {name: value if math.isfinite(value) else None for name, value in scores.items()}


def _view_module(task: "type[Task]") -> ModuleType:
    """``view`` in the folder of a task's class; of a class derived from it elsewhere, the same one.

    Raises:
        InputError: the task has none.
    """
    for own in task.__mro__:
        package = own.__module__.rpartition(".")[0]
        if issubclass(own, Task) and package and importlib.util.find_spec(f"{package}.view"):
            return importlib.import_module(f"{package}.view")
    raise InputError(f"a {task.name} model cannot be explained: there is no module view beside {task.__name__}")


class Task(ABC):
    """A model for one kind of data: ``fit``, ``predict``, ``evaluate``, ``save``.

    A subclass's constructor stores its arguments under their own names and does nothing else, so that scikit-learn's
    ``clone`` and searches work. What fitting finds ends in an underscore.
    """

    name: ClassVar[str]
    network_: nn.Module
    training_: Result
    seed: int

    # -- parameters ------------------------------------------------------------------------------------------

    @classmethod
    def parameter_names(cls) -> list[str]:
        """The constructor's arguments."""
        return list(inspect.signature(cls).parameters)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments and their values."""
        return {name: getattr(self, name) for name in self.parameter_names()}

    def set_params(self, **params: Any) -> Self:
        """Change some of them.

        Raises:
            ValueError: there is no such parameter.
        """
        for name, value in params.items():
            if name not in self.parameter_names():
                raise InputError(f"{self.name} has no parameter {name!r}; it has {', '.join(self.parameter_names())}")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = {name: p.default for name, p in inspect.signature(type(self)).parameters.items()}
        changed = [f"{k}={v!r}" for k, v in self.get_params().items() if v != defaults[k]]
        return f"{type(self).__name__}({', '.join(changed)})"

    # -- data, fitting, scores: the task's own ---------------------------------------------------------------

    @classmethod
    def known_parameters(cls, data: Sequence[str]) -> dict[str, Any]:
        """The parameters that a known data set (``@name``) comes with; none for a person's own data.

        Raises:
            InputError: there is no such data set, or it is for another task.
        """
        known = cls.known_set(data)
        return {} if known is None else dict(known.parameters)

    @classmethod
    def known_set(cls, data: Sequence[str]) -> DataSet | None:
        """The data set that inputs name, as ``@NAME``; None when they are a person's files.

        Raises:
            InputError: there is no such data set, or it is for another task.
        """
        return known_set(data, cls.name)

    @abstractmethod
    def parts(self, data: Sequence[str]) -> Parts:
        """The parts of a person's files or of a known data set (``@name``)."""

    @abstractmethod
    def read_files(self, paths: Sequence[str]) -> Any:
        """All that is in a person's files, for `fit` to validate on or `evaluate` to score."""

    @abstractmethod
    def fit(
        self,
        data: Any,
        budget: str,
        valid: Any = None,
        *,
        out: Path | None = None,
        resume: bool = False,
        progress: bool = True,
    ) -> Self:
        """Fit the model to what `parts` or `read_files` gave."""

    @abstractmethod
    def evaluate(self, data: Any, name: str = "") -> Report:
        """Score the model beside the baselines; a task's own options follow the name."""

    @abstractmethod
    def answers(self, inputs: Sequence[str]) -> "pl.DataFrame | Iterator[str]":
        """What ``memfold predict`` writes for its inputs, a table or pieces of text; a task's own options follow."""

    def next_command(self, out: Path, data: Sequence[str]) -> str:
        """What to type next, said after a fit."""
        return f"memfold predict {out} {' '.join(data)} gives its answers"

    def respond(self, line: str) -> Iterator[str]:
        """What ``memfold stream`` writes for a line that it has read, piece by piece.

        Raises:
            InputError: the task does not work line by line.
        """
        raise InputError(f"a {self.name} model does not answer line by line; use memfold predict")

    hears: ClassVar[bool] = False  # whether ``memfold stream`` gives it sound rather than lines

    def listen(self, source: BinaryIO) -> Iterator[str]:
        """What ``memfold stream`` writes, a line each, for sound that comes in.

        Raises:
            InputError: the task hears nothing, or the sound cannot be read.
        """
        raise InputError(f"a {self.name} model takes no sound")

    def explain(self, source: str, language: str = "en") -> "Explanation":
        """What the model makes of one input, told by ``view`` in the module of that name beside the task's class.

        Args:
            source: a file; for a model that reads text, also the text itself.
            language: of what is said, ``en`` or ``zh``.

        Raises:
            InputError: not fitted yet, an input that cannot be read, another language, or a task that has no view.
        """
        self._check_fitted()
        self.network_.eval()
        found: Explanation = _view_module(type(self)).view(self, source, language)
        return found

    # -- training --------------------------------------------------------------------------------------------

    def _train(
        self,
        problem: Problem,
        settings: Settings,
        identity: Mapping[str, Any],
        out: Path | None,
        resume: bool,
        show: bool,
    ) -> None:
        """Run the loop with its display, its checkpoint in the folder ``out``."""
        from memfold.display import Display

        # As they will be read again from the model's folder: what could not be is refused before the training.
        check_parameters(type(self), json.loads(json.dumps(self.get_params())))
        checkpoint = None
        if out is not None:
            check_place(out, resume=resume)
            checkpoint = out / CHECKPOINT
            out.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"task": self.name, "parameters": self.get_params(), **identity}, sort_keys=True, default=str)
        self.network_ = problem.model
        title = f"{self.name}: {self.parameter_count:,} parameters"
        if show:
            with Display(title) as display:
                result = train(problem, settings, checkpoint=checkpoint, resume=resume, identity=text, progress=display)
                display.finished(f"{result.steps:,} steps in {result.seconds:.0f} s: {result.speed(problem.unit)}")
        else:
            result = train(problem, settings, checkpoint=checkpoint, resume=resume, identity=text)
        self.training_ = result

    @property
    def parameter_count(self) -> int:
        """The number of weights that are trained."""
        return sum(p.numel() for p in self.network_.parameters())

    # -- models on disk --------------------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def fitted_types(cls) -> dict[str, Any]:
        """The types of what `fitted_state` gives, as `memfold.formats.schema.check` takes them."""

    @abstractmethod
    def fitted_state(self) -> dict[str, Any]:
        """What fitting found besides the weights, as plain JSON values."""

    @abstractmethod
    def restore_fitted(self, state: dict[str, Any]) -> nn.Module:
        """Take back what `fitted_state` gave; returns the network, made under whatever device is the default."""

    def fitted_files(self) -> dict[str, bytes]:
        """Files of the encoder that are kept beside the weights, by a name in `ENCODERS`."""
        return {}

    def restore_files(self, files: dict[str, bytes]) -> None:  # noqa: B027
        """Take back what `fitted_files` gave; called before `restore_fitted`."""

    def save(self, path: str | Path, report: Report | None = None, command: str = "") -> None:
        """Save the fitted model as a folder: configuration, weights and model card.

        Args:
            report: scores for the model card.
            command: for the model card, what made the model.

        Raises:
            InputError: not fitted yet, or the folder cannot be written.
        """
        self._check_fitted()
        config = {
            "task": self.name,
            "memfold": version("memfold"),
            "torch": torch.__version__,
            "parameters": self.get_params(),
            "fitted": self.fitted_state(),
        }
        weights = dict(self.network_.state_dict())
        unfinished = self.training_.stopped == "interrupted"
        card = self._card(report, command)
        write_model(Path(path), config, weights, card, files=self.fitted_files(), keep_checkpoint=unfinished)

    @classmethod
    def from_folder(cls, path: Path, config: dict[str, Any]) -> Self:
        """The model in a folder whose ``config.json`` has been read and checked."""
        stored = count_weights(path)
        try:
            unknown = sorted(config.keys() - KEYS)
            if unknown:
                raise InputError(f"{shown(unknown[0])} is unknown there")
            check_parameters(cls, config["parameters"])
            check(config["fitted"], cls.fitted_types(), "fitted")
            task = cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in config["parameters"].items()})
            task._check()
            task.restore_files(read_files(path, config))
            with torch.device("meta"), at_most_tensors(stored):
                expected = task.restore_fitted(config["fitted"]).state_dict()
        except (
            LookupError,
            TypeError,
            ValueError,
            RuntimeError,
            ArithmeticError,
            AttributeError,
            MemoryError,
        ) as error:
            told = " ".join(str(error).split())[:500]
            raise InputError(f"{path / 'config.json'}: does not describe a {cls.name} model ({told})") from None
        weights = read_weights(path, expected)
        task.network_ = task.restore_fitted(config["fitted"])
        task.network_.load_state_dict(weights)
        task.network_.eval()
        task.training_ = Result()
        return task

    @abstractmethod
    def _check(self) -> None:
        """Raise InputError for a parameter out of its range."""

    def _check_least(self, least: Mapping[str, int]) -> None:
        for name, value in least.items():
            if getattr(self, name) < value:
                raise InputError(f"{name} must be at least {value}, got {getattr(self, name)}")

    @staticmethod
    def _check_agree(*counts: tuple[str, int, int]) -> None:
        """Refuse what fitting is said to have found when its parts do not fit each other.

        Args:
            counts: what is counted, how many there are, and how many there must be.
        """
        for what, found, expected in counts:
            if found != expected:
                raise InputError(f"{what}: {found}, expected {expected}")

    def _check_fitted(self) -> None:
        if not hasattr(self, "network_"):
            raise InputError(f"this {type(self).__name__} is not fitted yet: call fit first")

    def _card(self, report: Report | None, command: str) -> str:
        lines = [f"# A memfold {self.name} model", ""]
        lines += [f"Made by `{command}`." if command else f"Made by `{self!r}`.", ""]
        result = self.training_
        lines += [
            f"- training: {result.steps} steps in {result.seconds:.0f} s, ended by {result.stopped}; "
            f"best validation score {result.best_score:.4f} at step {result.best_step}; seed {self.seed}",
            f"- {self.parameter_count:,} parameters; memfold {version('memfold')}, torch {torch.__version__}, "
            f"{platform.machine()}, {torch.get_num_threads()} threads",
        ]
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
