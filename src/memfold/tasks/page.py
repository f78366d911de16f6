"""The page of an evaluation, of any task: scores, plan, learning curve, the task's own pictures, and its tables."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from memfold.drawing import SERIES, Chart, Heat, Look
from memfold.page import Section, page_text, scores_table, write_page
from memfold.tasks.confusion import ConfusionTable
from memfold.training import Result

if TYPE_CHECKING:
    from memfold.tasks.report import Report

__all__ = ["confusion_section", "learning_curve", "plan_table", "write_evaluation"]

MOST_CLASSES = 40  # of a table; of more those that are confused most
TERMINAL = 110  # characters across, of what is only made for a terminal


def write_evaluation(
    path: Path, report: "Report", sections: Sequence[Section], training: Result | None, footer: str
) -> Path:
    """Write the page; returns the path.

    Args:
        sections: the task's own.
        training: of the model; None where it was loaded.
    """
    tables = [scores_table(report.heading, {"memfold": report.metrics, **report.baselines})]
    tables.append(plan_table(report))
    curve = learning_curve(training)
    closing = "".join(f"<section>{_shown(item)}</section>" for item in report.shown)
    title = f"{report.task}: {report.data}" if report.data else report.task
    return write_page(path, page_text(title, tables, [*sections, *curve], footer, closing=closing))


def plan_table(report: "Report") -> str:
    """Who won on the validation part, and what the fit chose by looking at the data, as HTML; empty without either."""
    rows: dict[str, Any] = {} if report.winner is None else {"best on the validation part": report.winner}
    rows |= {name: value for name, value in report.plan.items() if value is not None}
    if not rows:
        return ""
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(str(value))}</td></tr>' for name, value in rows.items()
    )
    return f'<h2>The plan</h2><div class="scroll" tabindex="0"><table class="plain">{lines}</table></div>'


def learning_curve(training: Result | None) -> list[Section]:
    """The section of it; none of a model that was loaded."""
    if training is None or not training.curve:
        return []
    steps = [row.step for row in training.curve]
    chart = Chart("", "step", zero=False)
    chart.line(steps, [row.train_loss for row in training.curve], "training loss", Look("soft", "5 3"))
    chart.line(steps, [row.score for row in training.curve], "validation", SERIES[0])
    text = (
        f"{training.steps} steps in {training.seconds:.0f} s; the weights kept are those of step {training.best_step}."
    )
    return [("Learning curve", text, chart)]


def confusion_section(counts: NDArray[np.int64], classes: Sequence[str], answered: Sequence[str]) -> Section:
    """How many of each class were taken for which, in colours.

    Args:
        counts: of each class, a row, for each that may be answered, a column, (R, C).
        answered: the names of the columns, the classes and perhaps others.
    """
    rows, columns = list(range(len(classes))), list(range(len(answered)))
    text = "Examples of each class, a row, by the class they were taken for."
    if len(answered) > MOST_CLASSES:
        square = counts[:, : len(classes)]
        wrong = square.sum(0) + square.sum(1) - 2 * np.diag(square)
        rows = columns = sorted(np.argsort(-wrong, kind="stable")[:MOST_CLASSES].tolist())
        text += f" The {MOST_CLASSES} classes that are confused most."
    shown = counts[np.ix_(rows, columns)]
    strength = np.log1p(shown) / max(float(np.log1p(shown).max(initial=0.0)), 1.0)
    texts = [[str(count) if count else "" for count in row] for row in shown]
    heat = Heat([classes[k] for k in rows], [answered[k] for k in columns], strength, texts, "true class / answer")
    return "Answers by true class", text, heat


def _shown(item: Any) -> str:
    """What a terminal shows below the scores, as HTML: tables as tables, all else as it is printed."""
    if isinstance(item, Table):
        return _table(item)
    console = Console(width=TERMINAL, no_color=True, highlight=False, legacy_windows=False)
    parts: Iterable[Any] = [item]
    if hasattr(item, "__rich_console__"):
        parts = list(item.__rich_console__(console, console.options))
    return "".join(_table(part) if isinstance(part, Table) else _printed(part, console) for part in parts)


def _table(table: Table) -> str:
    if isinstance(table, ConfusionTable):
        heading, text, heat = confusion_section(table.counts, table.truths, table.answered)
        return f"<h2>{escape(heading)}</h2><p>{escape(text)}</p>{heat.html()}"
    head = "".join(f'<th scope="col">{escape(str(column.header))}</th>' for column in table.columns)
    rows = zip(*(column.cells for column in table.columns), strict=True)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    heading = f"<h2>{escape(str(table.title))}</h2>" if table.title else ""
    whole = f'<table class="plain"><tr>{head}</tr>{body}</table>'
    return f'{heading}<div class="scroll" tabindex="0">{whole}</div>'


def _printed(part: Any, console: Console) -> str:
    with console.capture() as capture:
        console.print(part)
    return f'<p class="pieces">{escape(capture.get().rstrip())}</p>'
