"""What a terminal shows: how far a training is (on standard error), tables of scores, and answers.

Names, labels and texts come from anywhere. Whatever is shown goes through here, so that nothing in it commands the
terminal.
"""

import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from memfold.trained import Validation

__all__ = ["Display", "Terminal", "answer", "plain", "point_table", "say", "score_table", "show_read"]

# what moves the cursor, colours, or turns the direction of writing, and half a character, which cannot be written
_COMMANDS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    r"""A text whose control characters are written as their codes; lines and tabs stay.

    >>> print(plain("a\x1b[31mred"))
    a\x1b[31mred
    """
    return _COMMANDS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def say(text: str) -> None:
    """Show one line on standard error."""
    print(plain(text).replace("\n", "\\n"), file=sys.stderr, flush=True)


def show_read(parts: Mapping[str, Mapping[str, str]]) -> None:
    """Show on standard error what was read: of each part by name, in words by what they are of."""
    width = max((len(what) for part in parts.values() for what in part), default=0)
    for name, part in parts.items():
        if part:
            say(f"{name}:")
        for what, text in part.items():
            say(f"  {what:<{width}}  {text}")


def answer(text: str, end: str = "") -> None:
    """Write a part of an answer to standard output: as it is to a file or a program, harmless to a terminal."""
    print(plain(text) if sys.stdout.isatty() else text, end=end, flush=True)


class Terminal(Console):
    """A console to which a text is only a text: no markup, no names of emoji, no control characters."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes}:{seconds:02d}"


class Display:
    """Shows steps and validations of one training, live in a terminal, a line per validation elsewhere.

    Args:
        title: what is being trained.
    """

    def __init__(self, title: str) -> None:
        self.console = Terminal(file=sys.stderr)
        self.title = title
        self.live = self.console.is_terminal
        self.bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%  {task.fields[left]} left  epoch {task.fields[epoch]}"),
            TextColumn("loss {task.fields[loss]}  {task.fields[score]}", markup=False),
            console=self.console,
            refresh_per_second=4,
        )
        self.task = self.bar.add_task(title, total=1.0, left="-:--", epoch=1, loss="-", score="")
        self.begun, self.first = time.monotonic(), 0.0
        self.loss: float | None = None

    def __enter__(self) -> Self:
        if self.live:
            self.bar.start()
        else:
            say(f"{self.title} ...")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self.bar.stop()

    def step(self, fraction: float, epoch: int, loss: float) -> None:
        """Move the bar to ``fraction`` of the budget."""
        self.loss = loss if self.loss is None else 0.98 * self.loss + 0.02 * loss
        if not self.live:
            return
        now = time.monotonic()
        if self.first == 0.0:
            self.begun, self.first = now, fraction
        done = fraction - self.first
        left = _clock((now - self.begun) / done * (1 - fraction)) if done > 0 else "-:--"
        self.bar.update(self.task, completed=fraction, left=left, epoch=epoch + 1, loss=f"{self.loss:.4f}")

    def finished(self, text: str) -> None:
        """Say how the training went."""
        self.console.print(f"  {text}", highlight=False, soft_wrap=True)

    def validated(self, row: "Validation", metric: str, best: bool) -> None:
        """Show a validation's score, starred when it is the best so far."""
        text = f"{metric} {row.score:.4f}{' *' if best else ''}"
        if self.live:
            self.bar.update(self.task, score=text)
        else:
            loss = f"loss {row.train_loss:.4f}" if row.step else "as it begins"
            say(f"  {_clock(row.seconds)}  step {row.step}  epoch {row.epoch + 1}  {loss}  {text}")


def score_table(
    scores: Mapping[str, Mapping[str, float]], title: str, better: Mapping[str, str] | None = None
) -> Table:
    """A table of scores, a row a model, the best of every column in bold.

    Args:
        scores: by model, by flat name.
        better: of a name, "higher", "lower" or "neither"; lower when it is not there.
    """
    better = better or {}
    columns = list(dict.fromkeys(name for row in scores.values() for name in row))
    table = Table(title=title or None, title_justify="left")
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    for model, row in scores.items():
        cells = []
        for name in columns:
            choose = max if better.get(name) == "higher" else min
            best = choose(other[name] for other in scores.values() if name in other)
            text = f"{row[name]:.3f}" if name in row else ""
            leads = text and better.get(name) != "neither" and row[name] == best
            cells.append(Text(text, style="bold" if leads else ""))
        table.add_row(model, *cells)
    return table


def point_table(points: Sequence[Mapping[str, str | float | None]], title: str) -> Table:
    """A table of measured points, a row a point, numbers to three digits."""
    columns = list(dict.fromkeys(name for point in points for name in point))
    table = Table(*columns, title=title, title_justify="left")
    for point in points:
        values = (point.get(name) for name in columns)
        table.add_row(*(f"{v:.3g}" if isinstance(v, float) else "" if v is None else str(v) for v in values))
    return table
