"""Where a search looks: the ranges that a task's parameters are documented with."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memfold.errors import InputError
from memfold.tasks.parameters import Parameter, Search, parameters_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

    from memfold.tasks.model import Task

__all__ = ["Axis", "axes_of"]

# Parameters that change what the validation score measures, or that it does not see; two scores cannot be compared
# across them.
UNCOMPARED: Mapping[str, Collection[str]] = {
    "anomaly": {"online", "span", "window"},
    "faces": {"margin", "members", "scale"},
    "generate": {"tokens", "vocabulary_size"},
    "sentiment": {"members"},
    "translate": {"vocabulary"},
}


@dataclass(frozen=True)
class Axis:
    """One parameter of a search.

    Attributes:
        levels: its values, where there are a few; the order says which are near each other where ``ordered``.
        low, high, log: else its range, by factors where ``log`` is set.
    """

    name: str
    levels: Sequence[Any] = ()
    ordered: bool = False
    low: float = 0.0
    high: float = 0.0
    log: bool = False

    @classmethod
    def of(cls, p: Parameter) -> "Axis":
        """The axis of a parameter that has a range; whole numbers go up by factors of 2, or by 1."""
        if not isinstance(p.search, Search):
            levels = tuple(p.search or ())
            return cls(p.name, levels, all(type(level) in (int, float) for level in levels))
        low, high, log = p.search.low, p.search.high, p.search.log
        if p.type != "a whole number":
            return cls(p.name, low=low, high=high, log=log)
        if not log:
            return cls(p.name, tuple(range(int(low), int(high) + 1)), ordered=True)
        return cls(p.name, tuple(int(low) << power for power in range(64) if int(low) << power <= high), ordered=True)

    def suggest(self, trial: "Trial") -> Any:
        """A value for a trial."""
        if not self.levels:
            value = trial.suggest_float(self.name, self.low, self.high, log=self.log)
            return min(max(float(f"{value:.3g}"), self.low), self.high)  # as a person would set it
        if self.ordered:
            return self.levels[trial.suggest_int(self.name, 0, len(self.levels) - 1)]
        return trial.suggest_categorical(self.name, self.levels)

    def distribution(self) -> "BaseDistribution":
        """What `suggest` draws from."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if not self.levels:
            return FloatDistribution(self.low, self.high, log=self.log)
        return IntDistribution(0, len(self.levels) - 1) if self.ordered else CategoricalDistribution(self.levels)

    def place(self, value: Any) -> Any:
        """A value as the distribution has it.

        Raises:
            ValueError: it lies elsewhere.
        """
        if not self.levels:
            if not isinstance(value, int | float) or not self.low <= value <= self.high:
                raise ValueError(f"{self.name}={value} is not from {self.low} to {self.high}")
            return float(value)
        place = list(self.levels).index(value)
        return place if self.ordered else value


def axes_of(kind: "type[Task]", fixed: Collection[str]) -> list[Axis]:
    """The axes of a task's search: every parameter with a range that nobody has set, and whose values one validation
    score can compare.

    Raises:
        InputError: all are set.
    """
    left_out = {*fixed, *UNCOMPARED.get(kind.name, ())}
    axes = [Axis.of(p) for p in parameters_of(kind) if p.search is not None and p.name not in left_out]
    if not axes:
        raise InputError(f"--set: sets every parameter of {kind.name} that a search could change; leave one out")
    return axes
