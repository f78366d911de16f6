"""A search for better parameters of a task, on the validation part alone."""

from memfold.tune.search import Tuned, tune

__all__ = ["Tuned", "tune"]
