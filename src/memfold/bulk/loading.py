"""Models that a process keeps loaded from one unit of work to the next."""

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from memfold.errors import InputError
from memfold.files import CONFIG, sha256
from memfold.tasks.registry import load

if TYPE_CHECKING:
    from memfold.tasks.model import Task

__all__ = ["fingerprint_of", "loaded", "one_thread"]


def fingerprint_of(model: Path) -> str:
    """The SHA-256 of a model: of its ``config.json``, which holds those of all its other files.

    Raises:
        InputError: the folder holds no model.
    """
    try:
        return sha256(model / CONFIG)
    except OSError as error:
        raise InputError(f"{model}: has no {CONFIG} that can be read ({error.strerror}); not a memfold model") from None


@functools.lru_cache(maxsize=1)
def loaded(model: str, fingerprint: str) -> "Task":
    """The model in a folder, loaded once in a process.

    Raises:
        InputError: the folder holds no model, or another one than that with this fingerprint.
    """
    task = load(model)
    if fingerprint_of(Path(model)) != fingerprint:
        raise InputError(f"{model}: was replaced by another model; begin again")
    return task


def one_thread() -> None:
    """Have this process compute on one thread, so that how many units are done at once changes no bit."""
    from memfold import engine

    engine.set_num_threads(1)
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)
