"""memfold: recurrent networks that run at the speed of the machine.

``import memfold`` needs NumPy only; PyTorch and everything heavier load when first touched.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memfold import cells, engine, nn, stream, tasks
    from memfold.engine import get_num_threads, set_num_threads
    from memfold.pretrained.answering import forecast
    from memfold.tasks import load

    __version__: str

__all__ = [
    "__version__",
    "cells",
    "engine",
    "forecast",
    "get_num_threads",
    "load",
    "nn",
    "set_num_threads",
    "stream",
    "tasks",
]

_HOME = {"forecast": "pretrained.answering", "load": "tasks", "get_num_threads": "engine", "set_num_threads": "engine"}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("memfold")
    if name in _HOME:
        return getattr(importlib.import_module(f"memfold.{_HOME[name]}"), name)
    if name in __all__:
        return importlib.import_module(f"memfold.{name}")
    raise AttributeError(f"module 'memfold' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
