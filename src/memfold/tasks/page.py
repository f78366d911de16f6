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
from memfold.tasks.advice import advice
from memfold.tasks.confusion import ConfusionTable
from memfold.tasks.contest import ALONE, ANSWER, Contest
from memfold.trained import Result
from memfold.words import Words

if TYPE_CHECKING:
    from memfold.tasks.report import Report

__all__ = ["confusion_section", "evaluation_title", "learning_curve", "plan_table", "report_scores", "write_evaluation"]

MOST_CLASSES = 40  # of a table; of more those that are confused most
NO_LOSSES = ("valid CER", "valid 1 - map50")  # of another scale than the training loss
TERMINAL = 110  # characters across, of what is only made for a terminal


def write_evaluation(
    path: Path,
    report: "Report",
    sections: Sequence[Section],
    training: Result | None,
    contest: Contest | None,
    footer: str,
    words: Words,
) -> Path:
    """Write the page; returns the path.

    Args:
        sections: the task's own.
        training: of the model; None where nothing is known of it.
        contest: on its validation part.
    """
    tables = [report_scores(report, words), plan_table(report, words)]
    curve = learning_curve(training, contest, words)
    closing = "".join(f"<section>{_shown(item, words)}</section>" for item in report.shown)
    page = page_text(
        evaluation_title(report, words), tables, [*sections, *curve], footer, language=words.language, closing=closing
    )
    return write_page(path, page)


def evaluation_title(report: "Report", words: Words) -> str:
    """The task, and the data where they have a name."""
    title = words.name(report.task)
    data = Path(report.data).name if Path(report.data).is_absolute() else words.of(report.data)
    return words("evaluated", task=title, data=data) if report.data else title


def report_scores(report: "Report", words: Words, heading: str = "") -> str:
    """The scores of the model and of the baselines, as HTML."""
    named = {"memfold": report.metrics, **{words.name(name): its for name, its in report.baselines.items()}}
    return scores_table(heading or words("scores"), named)


def plan_table(report: "Report", words: Words) -> str:
    """Who won on the validation part, and what the fit chose by looking at the data, as HTML; empty without either."""
    rows: dict[str, Any] = {} if report.winner is None else {words("winner"): words.name(report.winner)}
    rows |= {name: value for name, value in report.plan.items() if value is not None}
    if not rows:
        return ""
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(_as_set(value))}</td></tr>' for name, value in rows.items()
    )
    heading = escape(words("the plan"))
    return f'<h2>{heading}</h2><div class="scroll" tabindex="0"><table class="plain">{lines}</table></div>'


def _as_set(value: Any) -> str:
    """A value as --set takes it, where that has a form of its own."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def learning_curve(training: Result | None, contest: Contest | None, words: Words) -> list[Section]:
    """The section of it, with the best baseline of the same measure and who won; none of a model without a curve."""
    if training is None or not training.curve:
        return []
    steps = [row.step for row in training.curve]
    chart = Chart(words.name(training.metric), words("step"), zero=False)
    apart = training.metric in NO_LOSSES
    loss = words("training loss apart" if apart else "training loss")
    chart.line(steps, [row.train_loss for row in training.curve], loss, Look("soft", "5 3"), right=apart)
    chart.line(steps, [row.score for row in training.curve], words("validation"), SERIES[0])
    text = words("curve text", steps=training.steps, seconds=training.seconds, best=training.best_step)
    if contest is None:
        return [(words("learning curve"), text, chart)]
    if contest.on_curve:
        best = min(contest.on_curve, key=contest.on_curve.__getitem__)
        value, name = contest.on_curve[best], words.name(best)
        chart.level(value, name)
        text = words.joined(text, words("curve level", name=name, value=value))
    if contest.rival:
        verdict = "curve won" if contest.winner == ANSWER else "curve lost"
        if contest.scores[ANSWER] == contest.scores[contest.rival]:
            verdict = "curve drawn"
        scores = {"ours": contest.scores[ANSWER], "theirs": contest.scores[contest.rival]}
        named = {"metric": contest.metric, "other": words.name(contest.rival)}
        text = words.joined(text, words(verdict, **named, **scores))
        if verdict == "curve lost" and contest.winner != ALONE:
            ways = [words.of(line) for line in advice(training, contest.winner)[1:]]
            text = words.joined(text, words("advice on page", ways=words("between ways").join(ways)))
    return [(words("learning curve"), text, chart)]


def confusion_section(
    counts: NDArray[np.int64], classes: Sequence[str], answered: Sequence[str], words: Words
) -> Section:
    """How many of each class were taken for which, in colours.

    Args:
        counts: of each class, a row, for each that may be answered, a column, (R, C).
        answered: the names of the columns, the classes and perhaps others.
    """
    rows, columns = list(range(len(classes))), list(range(len(answered)))
    text = words("confusion text")
    if len(answered) > MOST_CLASSES:
        square = counts[:, : len(classes)]
        wrong = square.sum(0) + square.sum(1) - 2 * np.diag(square)
        rows = columns = sorted(np.argsort(-wrong, kind="stable")[:MOST_CLASSES].tolist())
        text = words.joined(text, words("confusion most", most=MOST_CLASSES))
    shown = counts[np.ix_(rows, columns)]
    strength = np.log1p(shown) / max(float(np.log1p(shown).max(initial=0.0)), 1.0)
    texts = [[str(count) if count else "" for count in row] for row in shown]
    heat = Heat([classes[k] for k in rows], [answered[k] for k in columns], strength, texts, words("confusion corner"))
    return words("confusion"), text, heat


def _shown(item: Any, words: Words) -> str:
    """What a terminal shows below the scores, as HTML: tables as tables, all else as it is printed."""
    if isinstance(item, Table):
        return _table(item, words)
    if isinstance(item, str):
        return f"<p>{escape(words.of(item))}</p>"
    console = Console(width=TERMINAL, no_color=True, highlight=False, legacy_windows=False)
    parts: Iterable[Any] = [item]
    if hasattr(item, "__rich_console__"):
        parts = list(item.__rich_console__(console, console.options))
    return "".join(_table(part, words) if isinstance(part, Table) else _printed(part, console) for part in parts)


def _table(table: Table, words: Words) -> str:
    if isinstance(table, ConfusionTable):
        heading, text, heat = confusion_section(table.counts, table.truths, table.answered, words)
        return f"<h2>{escape(heading)}</h2><p>{escape(text)}</p>{heat.html()}"
    names = [words.name(_said(column.header, words)) for column in table.columns]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    rows = list(zip(*(column.cells for column in table.columns), strict=True))
    body = "".join(f"<tr>{''.join(f'<td>{escape(_said(cell, words))}</td>' for cell in row)}</tr>" for row in rows)
    heading = f"<h2>{escape(_said(table.title, words))}</h2>" if table.title else ""
    if not any(names):  # a text with a title
        return heading + "".join(f'<p class="pieces">{escape(str(cell))}</p>' for row in rows for cell in row)
    whole = f'<table class="plain"><tr>{head}</tr>{body}</table>'
    return f'{heading}<div class="scroll" tabindex="0">{whole}</div>'


def _said(text: Any, words: Words) -> str:
    """What stands in a cell or above a table; words that memfold gives, in the page's language."""
    return words.of(text) if isinstance(text, str) else str(text)


def _printed(part: Any, console: Console) -> str:
    with console.capture() as capture:
        console.print(part)
    return f'<p class="pieces">{escape(capture.get().rstrip())}</p>'
