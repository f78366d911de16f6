"""What a task is set to and what fitting found, and how both are kept in a folder.

Nothing here imports torch before a network is made or loaded.
"""

import importlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, NotRequired, Self, dataclass_transform

from memfold.errors import InputError, NotFittedError, shown
from memfold.formats.directory import WEIGHTS, exported_in, read_files, write_model
from memfold.formats.schema import check, decode, encode
from memfold.runtime.onnx_part import run_of
from memfold.runtime.pipeline import Pipeline, pipeline_class
from memfold.runtime.recipe import Run
from memfold.runtime.weights import Weights
from memfold.tasks.card import model_card
from memfold.tasks.contest import Contest
from memfold.tasks.parameters import describe, fitted, learning_rate, parameter, parameters_of, planned
from memfold.tasks.planning import checked_plan
from memfold.tasks.precision import Precision
from memfold.tasks.report import Report
from memfold.tasks.steps import Steps
from memfold.tasks.updating.kept import Kept
from memfold.trained import Result

if TYPE_CHECKING:
    from torch import nn

__all__ = ["State"]

# Of config.json.
KEYS = {"format", "files", "task", "runtime", "memfold", "torch", "parameters", "plan"}
KEYS |= {"contest", "training", "fitted", "weights", "data"}
UNREADABLE = (LookupError, TypeError, ValueError, RuntimeError, ArithmeticError, AttributeError, MemoryError)


@dataclass_transform(eq_default=False, field_specifiers=(fitted,))
@dataclass(eq=False, repr=False)
class State(Steps):
    """A task's parameters and what fitting finds.

    A subclass names both as fields, by `parameter` and `fitted`. The constructor stores its arguments under their own
    names and does nothing else, so that scikit-learn's ``clone`` and searches work. What fitting finds ends in an
    underscore.
    """

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

    # -- the network -----------------------------------------------------------------------------------------

    def check_fitted(self) -> None:
        """Raise NotFittedError unless the model is fitted."""
        if self._stored is None:
            _ = self.network_

    def __sklearn_is_fitted__(self) -> bool:
        return self._stored is not None or "network_" in vars(self)

    @property
    def parameter_count(self) -> int:
        """The number of weights that are trained."""
        if self._weight_count is not None:
            return self._weight_count
        return sum(weight.numel() for weight in self.network_.parameters())

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

    def _whole_network(self) -> "nn.Module":
        network = self.network()
        self.complete(network)
        return network

    # -- answering without torch -----------------------------------------------------------------------------

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

    # -- the folder ------------------------------------------------------------------------------------------

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
            model_card(self, report, command),
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

    def beside(self, name: str, done: str) -> ModuleType:
        """A module in the folder of a task's class; of a class derived from it elsewhere, the same one.

        Raises:
            InputError: the task has none.
        """
        for base in type(self).__mro__:
            package = base.__module__.rpartition(".")[0]
            if issubclass(base, Steps) and package and importlib.util.find_spec(f"{package}.{name}"):
                return importlib.import_module(f"{package}.{name}")
        raise InputError(
            f"a {self.name} model cannot be {done}: there is no module {name} beside {type(self).__name__}"
        )
