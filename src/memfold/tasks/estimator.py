"""A task as scikit-learn has its estimators: what it is taken for, and one whose ``predict`` returns an array."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import ClassifierTags, InputTags, RegressorTags, Tags, TargetTags

if TYPE_CHECKING:
    from memfold.tasks.model import Task

__all__ = ["Estimator", "tags_of"]


def tags_of(task: "Task") -> Tags:
    """What scikit-learn wants to know of a task."""
    return Tags(
        estimator_type=task.kind,
        target_tags=TargetTags(required=False, single_output=True),
        classifier_tags=ClassifierTags() if task.kind == "classifier" else None,
        regressor_tags=RegressorTags() if task.kind == "regressor" else None,
        input_tags=InputTags(one_d_array=True, two_d_array=True, three_d_array=True, string=True),
        non_deterministic=True,
    )


class Estimator:
    """An estimator of scikit-learn around a task, whose ``predict`` returns an array; string scorers work on it.

    Its parameters are the task's. Fitting shows no progress.

    Args:
        task: whose parameters it takes; it is not changed.
    """

    def __init__(self, task: "Task") -> None:
        self.task = type(task)(**task.get_params())

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The task's parameters and their values."""
        return self.task.get_params(deep)

    def set_params(self, **params: Any) -> "Estimator":
        """Change some of them.

        Raises:
            InputError: there is no such parameter.
        """
        self.task.set_params(**params)
        return self

    def __repr__(self) -> str:
        return f"{self.task!r}.as_sklearn()"

    def __sklearn_clone__(self) -> "Estimator":
        return Estimator(self.task)

    def __sklearn_tags__(self) -> Tags:
        return tags_of(self.task)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self.task, "network_")

    def fit(self, X: Any, y: Any = None, *, budget: str | None = None) -> "Estimator":
        """Fit the task; see `Task.fit`."""
        self.task.fit(X, y, budget=budget, progress=False)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The answer to every input, ``(N,)``.

        Raises:
            InputError: not fitted yet, inputs that cannot be worked with, or a task without one answer to an input.
        """
        return np.asarray(self.task.array(X))

    def score(self, X: Any, y: Any = None) -> float:
        """The task's score; see `Task.score`."""
        return self.task.score(X, y)

    @property
    def classes_(self) -> NDArray[Any]:
        """Of a fitted classifier, the classes in the order of ``predict_proba``'s columns."""
        if self.task.kind != "classifier":
            raise AttributeError(f"a {self.task.name} model has no classes_")
        return np.asarray(getattr(self.task, "classes_"))  # noqa: B009 (not every task has them)

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """The probability of every class for every input, ``(N, C)``."""
        self.task.check_fitted()
        if self.task.kind != "classifier":
            raise AttributeError(f"a {self.task.name} model gives no probabilities of classes")
        inputs = self.task.inputs(X)
        probabilities = self.task.table(inputs, self.task.answer(inputs)).select("^p_.*$")
        if not probabilities.columns:
            raise AttributeError(f"a {self.task.name} model gives no probabilities of classes")
        return probabilities.to_numpy()
