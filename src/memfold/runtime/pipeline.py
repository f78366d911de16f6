"""Models that answer without torch: of each kind a pipeline, and sessions that take what comes step by step."""

import hashlib
import importlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar, get_type_hints

import numpy as np

from memfold.errors import InputError, shown
from memfold.formats.directory import WEIGHTS, read_config, read_files
from memfold.formats.schema import check, decode, encode
from memfold.runtime.state import header_of, packed, unpacked
from memfold.runtime.weights import Weights

__all__ = [
    "KINDS",
    "TO_JSON",
    "Pipeline",
    "Pool",
    "Session",
    "answers_alone",
    "attempted",
    "load",
    "pipeline_class",
    "read_pipeline",
]

# What a model folder calls its kind -> module:class
KINDS = {
    "forecaster": "memfold.runtime.forecasting.forecasting:Forecasting",
    "monitor": "memfold.runtime.monitoring.watching:Watching",
    "spotter": "memfold.runtime.hearing.commands:Commands",
    "text_classifier": "memfold.runtime.texts.labelling:Labelling",
    "transcriber": "memfold.runtime.hearing.transcribing:Transcribing",
    "writer": "memfold.runtime.writing.writing:Writing",
}

TO_JSON = json.JSONEncoder(ensure_ascii=False).encode

S = TypeVar("S")
T = TypeVar("T")


class Session(ABC):
    """What a model hears or reads step by step, and remembers of it.

    Attributes:
        moves: names of the attributes that a step changes.
    """

    moves: ClassVar[tuple[str, ...]] = ()

    def __init__(self, pipeline: "Pipeline[Any]") -> None:
        self.pipeline: Any = pipeline

    @abstractmethod
    def push(self, given: Any) -> list[Any]:
        """Take an input; the answers that it completes, as ``memfold stream`` prints them.

        Raises:
            InputError: it is nothing that this model takes.
        """

    def finish(self) -> list[Any]:
        """The answers that only the end completes."""
        return []

    def printed(self, given: Any) -> Iterator[str]:
        """What ``memfold stream`` writes for an input, piece by piece: an answer a line."""
        return (f"{self.line(answer)}\n" for answer in self.push(given))

    def line(self, answer: Any) -> str:
        """An answer as ``memfold stream`` writes it, without the line's end."""
        return answer.removesuffix("\n") if isinstance(answer, str) else TO_JSON(answer)

    @property
    def state(self) -> bytes:
        """All that the session remembers, with the model's hash; `Pipeline.resume` goes on from it."""
        return packed(self, self.pipeline.fingerprint, self.outline())

    def outline(self) -> Any:
        """What the session is made of, where pushing changes that, as JSON."""
        return None

    def follow(self, outline: Any) -> None:  # noqa: B027
        """Make what `outline` gave."""


class Pool:
    """Sessions of one model, so many at most, that take what comes together.

    Whatever a session answers is what it would answer alone, to the bit.
    """

    def __init__(self, pipeline: "Pipeline[Any]", most: int) -> None:
        self.pipeline: Any = pipeline
        self._free = list(range(most))[::-1]
        self._places: dict[Session, int] = {}

    def __len__(self) -> int:
        """Sessions that are open."""
        return len(self._places)

    def open(self) -> Session:
        """A session that has seen nothing yet.

        Raises:
            InputError: as many as there may be are open; or the model has no sessions.
        """
        if not self._free:
            raise InputError(f"{len(self)} sessions are open, which is the most")
        session = self.begin(self._free[-1])
        self._places[session] = self._free.pop()
        return session

    def resume(self, state: bytes) -> Session:
        """A session that goes on where another one of this model was, in this pool or not.

        Raises:
            InputError: as `open` and `Pipeline.resume`.
        """
        session = self.open()
        try:
            self.pipeline.restore(session, state)
        except InputError:
            self.close(session)
            raise
        return session

    def close(self, session: Session) -> None:
        """Make a session's place free."""
        self._free.append(self._places.pop(session))

    def begin(self, place: int) -> Session:
        """A session in a place that no other has."""
        session: Session = self.pipeline.open()
        return session

    def push(self, sessions: Sequence[Session], given: Sequence[Any]) -> list[list[Any] | Exception]:
        """Give each of some sessions, each once, an input; its answers, or the error that it alone raised: an
        `InputError` where the input is wrong."""
        return [attempted(session.push, one) for session, one in zip(sessions, given, strict=True)]


def attempted(work: Callable[..., T], *given: Any) -> T | Exception:
    """What some work of one session among many returns, or raises."""
    try:
        return work(*given)
    except Exception as error:
        return error


class Pipeline(ABC, Generic[S]):
    """A model from what it is given to its answers.

    Attributes:
        settings_type: a data class of all that it takes of a model's parameters and of what fitting found, by their
            names.
        hears: whether it takes sound.
        rate: samples a second of that.
    """

    settings_type: ClassVar[type]
    hears: ClassVar[bool] = False
    rate: int = 0

    def __init__(self, settings: S, weights: Weights, files: Mapping[str, bytes]) -> None:
        self.settings, self.weights = settings, weights
        self.build(weights, files)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the settings and the weights, which a state bears."""
        digest = hashlib.sha256(json.dumps(encode(self.settings), sort_keys=True).encode())
        for name, array in sorted(self.weights.arrays.items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
        return digest.hexdigest()

    @abstractmethod
    def build(self, weights: Weights, files: Mapping[str, bytes]) -> None:
        """Make what the pipeline is made of.

        Raises:
            InputError: arrays that are missing or do not fit.
        """

    @abstractmethod
    def answer(self, given: Any) -> Any:
        """The answer to a whole input."""

    @abstractmethod
    def open(self) -> Session:
        """A session that has seen nothing yet."""

    def resume(self, state: bytes) -> Session:
        """A session that goes on where another one of this model was.

        Raises:
            InputError: these bytes are no state of a session of this model.
        """
        session = self.open()
        self.restore(session, state)
        return session

    def restore(self, session: Session, state: bytes) -> None:
        """Have a session that has just been opened go on from a state.

        Raises:
            InputError: these bytes are no state of a session of this model.
        """
        outline = header_of(state, self.fingerprint)["outline"]
        try:
            session.follow(outline)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"not a state of this model ({error})") from None
        unpacked(session, state, self.fingerprint)

    def smallest(self) -> Any:
        """An input that a session answers in a moment, to try the model by; None where there is none."""
        return None

    def pool(self, most: int) -> Pool:
        """Room for so many sessions that take what comes together."""
        return Pool(self, most)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], weights: Weights, files: Mapping[str, bytes]) -> Self:
        """The pipeline of what ``config.json`` says.

        Raises:
            InputError: an entry is missing or of another type, or arrays do not fit.
        """
        known = {**config["parameters"], **config.get("plan", {}), **config["fitted"]}
        hints = get_type_hints(cls.settings_type)
        values = {}
        for field in fields(cls.settings_type):
            if field.name not in known and field.default is not MISSING:
                continue
            if field.name not in known:
                raise InputError(f"{weights.where}: its config.json has no {field.name!r}")
            check(known[field.name], hints[field.name], field.name)
            values[field.name] = decode(known[field.name], hints[field.name])
        return cls(cls.settings_type(**values), weights, files)


def pipeline_class(kind: str) -> type[Pipeline[Any]]:
    """The class of a kind."""
    module, _, name = KINDS[kind].partition(":")
    result: type[Pipeline[Any]] = getattr(importlib.import_module(module), name)
    return result


def answers_alone(config: Mapping[str, Any]) -> bool:
    """Whether the model that ``config.json`` describes answers without torch; one that goes on learning does not."""
    return config.get("runtime") in KINDS and not config.get("parameters", {}).get("online", False)


def load(path: str | Path) -> Pipeline[Any]:
    """Load a model that answers without torch; everything is checked.

    Raises:
        InputError: the folder holds no model, or one that is truncated, changed, of another version, or that does not
            answer without torch.
    """
    path = Path(path)
    return read_pipeline(path, read_config(path))


def read_pipeline(path: Path, config: Mapping[str, Any]) -> Pipeline[Any]:
    """The pipeline in a folder whose ``config.json`` has been read and checked.

    Raises:
        InputError: as `load`.
    """
    kind = str(config.get("runtime"))
    if not answers_alone(config):
        what = "goes on learning" if kind in KINDS else f"is one for {shown(config.get('task'))}"
        raise InputError(f"{path}: this model {what}, which takes torch")
    weights = Weights.read(path / WEIGHTS)
    try:
        result = pipeline_class(kind).from_config(config, weights, read_files(path, config))
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        if isinstance(error, InputError) and str(error).startswith(weights.where):
            raise
        reason = " ".join(str(error).split())[:500]
        raise InputError(f"{path / 'config.json'}: does not describe a {config['task']} ({reason})") from None
    weights.finish()
    return result
