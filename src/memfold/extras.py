"""The packages that memfold can do without, and the extras of memfold that install them; imports none of them."""

from collections.abc import Iterable
from importlib.util import find_spec
from types import TracebackType

__all__ = ["EXTRAS", "PACKAGES", "TASKS_OF", "extra_of", "install", "is_installed", "task_in"]

# What each extra brings besides the extras that it builds on; tests/test_extras.py holds pyproject.toml to it.
_COMMON = ("polars", "narwhals", "pooch")  # tables, known data sets
EXTRAS: dict[str, tuple[str, ...]] = {
    "cli": ("typer", "rich"),
    "train": ("torch",),
    "series": (*_COMMON, "statsforecast", "utilsforecast", "scipy"),
    "text": (*_COMMON, "sentencepiece", "sacrebleu", "scikit-learn", "scipy"),
    "audio": (*_COMMON, "soundfile", "soxr", "jiwer", "scikit-learn"),
    "vision": (*_COMMON, "pillow", "pyyaml", "scikit-learn", "scipy", "faster-coco-eval"),
    "excel": ("openpyxl",),
    "holidays": ("holidays",),
    "export": ("onnx", "onnxscript", "onnxruntime"),
    "serve": ("starlette", "uvicorn", "websockets", "prometheus-client"),
    "ray": ("ray",),
    "tune": ("optuna",),
}

# Which of them a task is in.
TASKS_OF: dict[str, tuple[str, ...]] = {
    "series": ("anomaly", "forecast"),
    "text": ("generate", "sentiment", "translate"),
    "audio": ("command", "transcribe"),
    "vision": ("classify", "detect", "faces"),
}

_IMPORTED_AS = {
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
    "faster-coco-eval": "faster_coco_eval",
    "prometheus-client": "prometheus_client",
}
# The package of every module that one of the extras brings.
PACKAGES = {_IMPORTED_AS.get(package, package): package for brought in EXTRAS.values() for package in brought}


def extra_of(module: str, task: str | None = None) -> str | None:
    """The extra that brings a module: the task's where it does, else the first one; None where none does.

    >>> extra_of("sklearn.metrics"), extra_of("sklearn.metrics", "classify"), extra_of("antigravity")
    ('text', 'vision', None)
    """
    package = PACKAGES.get(module.partition(".")[0])
    extras = [extra for extra, brought in EXTRAS.items() if package in brought]
    return next((extra for extra in extras if task in TASKS_OF.get(extra, ())), extras[0] if extras else None)


def install(extras: Iterable[str]) -> str:
    """The command that installs extras.

    >>> install(["train", "series"])
    "pip install 'memfold[train,series]'"
    """
    return f"pip install 'memfold[{','.join(extras)}]'"


def is_installed(package: str) -> bool:
    """Whether a package of an extra can be imported; it is not imported for that."""
    try:
        return find_spec(_IMPORTED_AS.get(package, package)) is not None
    except (ImportError, ValueError):  # it is blocked
        return False


def task_in(trace: TracebackType | None) -> str | None:
    """The task whose module an exception came through, if it came through one."""
    while trace is not None:
        parts = str(trace.tb_frame.f_globals.get("__name__", "")).split(".")
        if parts[:2] == ["memfold", "tasks"] and any(
            parts[2:3] == [task] for tasks in TASKS_OF.values() for task in tasks
        ):
            return parts[2]
        trace = trace.tb_next
    return None
