"""What is told of one input, task by task."""

import importlib
from collections.abc import Callable
from typing import Any

from memfold.errors import InputError
from memfold.explain.explanation import Explanation
from memfold.explain.words import Words
from memfold.tasks.base import Task

__all__ = ["VIEWS", "explained"]

VIEWS = {
    "anomaly": "series:anomaly_view",
    "classify": "images:classify_view",
    "command": "sound:command_view",
    "detect": "images:detect_view",
    "faces": "images:faces_view",
    "forecast": "series:forecast_view",
    "generate": "text:generate_view",
    "sentiment": "text:sentiment_view",
    "transcribe": "sound:transcribe_view",
    "translate": "text:translate_view",
}


def explained(model: Task, source: str, language: str = "en") -> Explanation:
    """Explain what a fitted model makes of one input.

    Args:
        source: a file; for a model that reads text, also the text itself.
        language: of what is said, ``en`` or ``zh``.

    Raises:
        InputError: an input that cannot be read, another language, or a task that has no view yet.
    """
    if model.name not in VIEWS:
        raise InputError(f"a {model.name} model cannot be explained yet; there is {', '.join(VIEWS)}")
    model.network_.eval()
    module, _, name = VIEWS[model.name].partition(":")
    view: Callable[[Any, str, Words], Explanation] = getattr(
        importlib.import_module(f"memfold.explain.views.{module}"), name
    )
    return view(model, source, Words(language))
