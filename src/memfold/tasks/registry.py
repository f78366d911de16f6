"""The tasks by name; each is imported when it is asked for."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from memfold.errors import InputError, shown
from memfold.extras import TASKS_OF, install

if TYPE_CHECKING:
    from memfold.tasks.model import Task

__all__ = ["TASKS", "load", "task_class"]

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


def task_class(name: str) -> "type[Task]":
    """The class of a task.

    Raises:
        InputError: there is no such task, or a package that it needs is not installed.
    """
    if name not in TASKS:
        raise InputError(f"no task {name!r}; there is {', '.join(TASKS)}")
    module, _, attribute = TASKS[name].partition(":")
    try:
        task: type[Task] = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        extra = next(extra for extra, names in TASKS_OF.items() if name in names)
        extras = ["train", extra] if error.name == "torch" else [extra]  # many models answer without torch
        raise InputError(f"{name} needs {error.name}: {install(extras)}") from None
    return task


def load(path: str | Path) -> "Task":
    """Load a model that a task saved; everything is checked before a network is made.

    Raises:
        InputError: the folder holds no model, or one that is truncated, changed or of another version.
    """
    from memfold.formats.directory import read_config

    path = Path(path)
    config = read_config(path)
    if not isinstance(config.get("task"), str) or config["task"] not in TASKS:
        raise InputError(
            f"{path}: is a model for the task {shown(config.get('task'))}; this memfold has {', '.join(TASKS)}"
        )
    return task_class(config["task"]).from_folder(path, config)
