"""What an experiment found: a table, findings in words, and curves."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.table import Table

__all__ = ["Record", "shown"]


@dataclass
class Record:
    """What an experiment found.

    Attributes:
        what: what was asked.
        rows: of the table, each a name and its values. What of this and of the rest `said` gives, a page says in its
            own language.
        findings: in words, computed from the rows.
        curves: by title of the picture, by name of the line, x and y.
        axes: of each picture: x, y, whether y is logarithmic.
    """

    name: str
    what: str
    rows: list[dict[str, Any]]
    findings: Sequence[str] = field(default_factory=list)
    curves: dict[str, dict[str, tuple[list[float], list[float]]]] = field(default_factory=dict)
    axes: tuple[str, str, bool] = ("", "", False)
    settings: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """One object of plain values; what is not finite is null."""
        content: dict[str, Any] = _finite(asdict(self))
        return content

    def table(self) -> Table:
        """The rows, as a terminal shows them."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        table = Table(*names, title=self.what, title_justify="left")
        for row in self.rows:
            table.add_row(*(shown(row.get(name)) for name in names))
        return table


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def shown(value: Any) -> str:
    """A value of a table."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
