"""What a model keeps of the data that it was fitted to: where it is, and by hashes which row was in which part."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memfold.data.row_keys import RowSet
from memfold.errors import InputError

if TYPE_CHECKING:
    from memfold.tasks.fit_data import FitData
    from memfold.tasks.fitting import Fitting

__all__ = ["PARTS", "Kept", "kept_rows", "kept_sources"]

PARTS = ("train", "valid", "test")
MOST_SOURCES = 1000  # paths


@dataclass(frozen=True)
class Kept:
    """What is known of a model's data, in ``config.json``.

    Attributes:
        sources: what each fit and each update was given: paths, or ``@NAME``. Only the command line knows them.
        train, valid, test: the rows of the parts, as `RowSet` writes them; "" of what has no rows, as series and prose.
        marks: of what has no rows, what the task needs to find it again.
    """

    sources: list[list[str]] = field(default_factory=list)
    train: str = ""
    valid: str = ""
    test: str = ""
    marks: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in PARTS:
            try:
                self.rows(part)
            except ValueError:
                raise InputError(f"data.{part}: the hashes of its rows are damaged") from None

    def rows(self, part: str) -> RowSet:
        """The rows of a part."""
        return RowSet.parse(getattr(self, part))

    @property
    def count(self) -> int:
        """How many rows are known."""
        return sum(len(self.rows(part)) for part in PARTS)

    def adding(self, part: str, keys: Sequence[str]) -> "Kept":
        """The same with more rows in a part."""
        rows = {name: getattr(self, name) for name in PARTS}
        if keys:
            rows[part] = str(self.rows(part).with_those_of(RowSet.of(keys)))
        return Kept(self.sources, rows["train"], rows["valid"], rows["test"], self.marks)


def kept_rows(task: "Fitting", data: "FitData") -> Kept:
    """What to keep of a fit: the rows that it trained on and validated on, and those of the model it goes on from."""
    kept = Kept() if task.begun is None else vars(task.begun.model).get("kept_", Kept())
    module = task.updating()
    if module is None:
        return kept
    for part, examples in (("train", data.train), ("valid", data.valid)):
        if examples is not None:
            kept = kept.adding(part, module.keys(examples))
    return replace(kept, marks={**kept.marks, **module.marks(task, data)}) if hasattr(module, "marks") else kept


def kept_sources(task: "Fitting", sources: Sequence[str], test: Any) -> Kept:
    """The same with where the data is, and the rows that were held out to be scored."""
    kept: Kept = task.kept_
    module = task.updating()
    if module is not None and test is not None:
        kept = kept.adding("test", module.keys(test))
        if hasattr(module, "test_marks"):
            kept = replace(kept, marks={**kept.marks, **module.test_marks(task, test)})
    group = [_absolute(source) for source in sources[:MOST_SOURCES]]
    groups = kept.sources if group in kept.sources or not group else [*kept.sources, group]
    return replace(kept, sources=groups)


def _absolute(source: str) -> str:
    return source if source.startswith("@") and not Path(source).exists() else str(Path(source).absolute())
