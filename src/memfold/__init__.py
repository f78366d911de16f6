"""memfold: recurrent networks that run at the speed of the machine.

``import memfold`` needs NumPy only; PyTorch and everything heavier load when first touched.
"""

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memfold import cells, engine, nn, tasks
    from memfold.tasks import load

__version__ = version("memfold")
__all__ = ["__version__", "cells", "engine", "load", "nn", "tasks"]


def __getattr__(name: str) -> Any:
    if name == "load":
        return importlib.import_module("memfold.tasks").load
    if name in __all__:
        return importlib.import_module(f"memfold.{name}")
    raise AttributeError(f"module 'memfold' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
