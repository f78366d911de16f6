"""Models that a server has: each is read, tried, and only then takes the place of the one before."""

import asyncio
import logging
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memfold.errors import InputError
from memfold.files import CONFIG, sha256
from memfold.formats.directory import CARD, read_config
from memfold.runtime.pipeline import Pool, Session, answers_alone, read_pipeline
from memfold.serve.batching import Batcher
from memfold.serve.limits import Limits
from memfold.serve.metrics import Metrics
from memfold.tasks.registry import load

if TYPE_CHECKING:
    from memfold.tasks.model import Task

__all__ = ["Hosted", "Version", "named"]

log = logging.getLogger("memfold.serve")

LINES = ("translate",)  # tasks that answer line by line with torch alone


class Version:
    """A model as it was read once.

    Attributes:
        sha256: of its ``config.json``, which holds those of all its files.
        task: answers whole inputs, one at a time (`busy`).
        batcher: gives its streams what comes; None where it takes none.
        rate: samples a second that its streams take; 0 where they are text.
    """

    def __init__(self, path: Path, name: str, limits: Limits, metrics: Metrics) -> None:
        config = read_config(path)
        self.config, self.sha256 = config, sha256(path / CONFIG)
        self.task: Task = load(path)
        self.busy = threading.Lock()
        self.card = _card(path)
        self.pool: Pool | None = None
        self.rate = 0
        self.why_no_stream = f"a {config['task']} model takes whole inputs"
        try:
            self._read_streams(path, limits)
        except InputError as error:
            self.pool, self.why_no_stream = None, str(error)
        if sha256(path / CONFIG) != self.sha256:
            raise InputError(f"{path}: was changed while it was read")
        self.name, self.metrics = name, metrics
        self.batcher: Batcher | None = None
        self.is_over = False

    def _read_streams(self, path: Path, limits: Limits) -> None:
        if answers_alone(self.config):
            pipeline = read_pipeline(path, self.config)
            self.rate = pipeline.rate if pipeline.hears else 0
            self.pool = pipeline.pool(limits.streams)
            self._try(pipeline.smallest())
        elif self.config["task"] in LINES:
            self.pool = _LinePool(self.task, limits.streams, self.busy)

    def _try(self, smallest: Any) -> None:
        """Answer one input, which shows what checks of the files do not."""
        assert self.pool is not None
        session = self.pool.open()
        if smallest is not None:
            self.pool.push([session], [smallest])
        self.pool.close(session)

    def begin(self) -> None:
        """Start to take streams."""
        if self.pool is not None:
            self.batcher = Batcher(self.pool, self.name, self.metrics)
        self.metrics.loaded.labels(self.name, self.sha256).set(1)

    def end(self) -> None:
        """Take no more streams; those that are open go on."""
        self.metrics.loaded.labels(self.name, self.sha256).set(0)
        self.is_over = True
        self.left()

    def left(self) -> None:
        """End the thread of a version that has been replaced, once its last stream has left."""
        if self.is_over and self.batcher is not None and not len(self.batcher.pool):
            self.batcher.close()

    def describe(self) -> dict[str, Any]:
        """For ``/v1/models``."""
        takes = None
        if self.batcher is not None:
            takes = {"sound": {"rate": self.rate, "format": "s16le"}} if self.rate else {"lines": "text"}
        return {
            "name": self.name,
            "task": self.config["task"],
            "sha256": self.sha256,
            "memfold": self.config.get("memfold"),
            "stream": takes,
            "classes": getattr(self.task, "classes_", None),
        }


class Hosted:
    """A model's folder and the version of it that answers.

    Attributes:
        version: the newest one that could be read.
    """

    def __init__(self, name: str, path: Path, limits: Limits, metrics: Metrics) -> None:
        self.name, self.path = name, path
        self.limits, self.metrics = limits, metrics
        self.version = Version(path, name, limits, metrics)
        self._reading = asyncio.Lock()

    async def reload(self) -> bool:
        """Read the folder again; whether it holds another model than the one that answers.

        New streams and requests go to the new one; streams that are open stay with theirs.

        Raises:
            InputError: it holds none that can be used; the one that answers stays.
        """
        async with self._reading:
            if await asyncio.to_thread(self._stamp) == self.version.sha256:
                return False
            version = await asyncio.to_thread(Version, self.path, self.name, self.limits, self.metrics)
            version.begin()
            before, self.version = self.version, version
            before.end()
            log.info("%s: %s in place of %s", self.name, version.sha256[:12], before.sha256[:12])
            return True

    def _stamp(self) -> str:
        read_config(self.path)  # whose files are whole, and what an interrupted writer left is put in place
        return sha256(self.path / CONFIG)


def named(models: Sequence[str]) -> dict[str, Path]:
    """Names and folders of ``DIR`` and ``NAME=DIR``; what exists as a folder is one, whatever its name.

    Raises:
        InputError: two models with one name, or a name that cannot stand in an address.
    """
    found: dict[str, Path] = {}
    for text in models:
        name, equals, folder = text.partition("=")
        if Path(text).exists() or not equals:
            name, folder = Path(text).resolve().name, text
        if not re.fullmatch(r"[\w.-]{1,64}", name, re.ASCII):
            raise InputError(f"{text}: name it, such as model={folder}: letters, digits, '_', '-' and '.'")
        if name in found:
            raise InputError(f"two models are called {name}; name them, such as first={found[name]} second={folder}")
        found[name] = Path(folder)
    return found


def _card(path: Path) -> str:
    file = path / CARD
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


class _LineSession(Session):
    """Lines that a task answers one by one."""

    def __init__(self, task: "Task", busy: threading.Lock) -> None:
        self.task, self.busy = task, busy

    def push(self, given: str) -> list[str]:
        with self.busy:
            return ["".join(self.task.respond(given))]

    @property
    def state(self) -> bytes:
        raise InputError("this model answers each line by itself; there is no state")


class _LinePool(Pool):
    """Sessions of a task that has no pipeline."""

    def __init__(self, task: "Task", most: int, busy: threading.Lock) -> None:
        super().__init__(None, most)  # type: ignore[arg-type]
        self.task, self.busy = task, busy

    def begin(self, place: int) -> Session:
        return _LineSession(self.task, self.busy)

    def resume(self, state: bytes) -> Session:
        raise InputError("this model answers each line by itself; there is no state to go on from")
