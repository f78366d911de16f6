"""The error a person sees: what was wrong, where, and what to do.

The command line prints it in one line and exits with 2.
"""

from typing import Any

__all__ = ["InputError", "NotFittedError", "shown"]


class InputError(ValueError):
    """Data, a model file or an option that memfold cannot work with."""


class NotFittedError(InputError, AttributeError):
    """A model that is asked for what only fitting finds."""


def shown(value: Any, most: int = 80) -> str:
    """A value from a file as an error names it: in one line, shortened."""
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."
