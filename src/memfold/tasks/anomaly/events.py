"""The alarms of a report, as a table."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.table import Table

from memfold.data.readings import Readings
from memfold.runtime.monitoring.monitor import Judgement
from memfold.tasks.anomaly.nab import PROFILES, Scored, best_threshold, nab_score
from memfold.words import said

__all__ = ["event_table", "folder_table", "time_text"]

SHOWN_EVENTS = 20


def event_table(events: Sequence[tuple[Readings, int, Judgement]], variables: Sequence[str]) -> Table:
    """The most unusual alarms -- series, row and judgement each -- in the order of their times."""
    most = sorted(events, key=lambda event: -event[2].score)[:SHOWN_EVENTS]
    title = (
        said("alarms", count=len(events))
        if len(events) <= SHOWN_EVENTS
        else said("alarms most", shown=SHOWN_EVENTS, count=len(events))
    )
    table = Table(
        "series", "time", "value", "expected (80 %)", "sigmas", "reason", "score", title=title, title_justify="left"
    )
    for series, row, judgement in sorted(most, key=lambda event: (event[0].name, event[1])):
        v = judgement.variable
        name = f"{variables[v]} " if len(variables) > 1 else ""
        there = v >= 0  # whether the row has any value
        table.add_row(
            series.name,
            time_text(series.times[row], series.dates),
            f"{name}{series.values[row, v]:.4g}" if there else "",
            f"{judgement.expected[v]:.4g} ({judgement.low[v]:.4g} to {judgement.high[v]:.4g})" if there else "",
            f"{judgement.sigmas:.1f}" if there else "",
            said(f"reason {judgement.reason}"),
            f"{judgement.score:.3f}",
        )
    return table


def folder_table(names: Sequence[str], series: Sequence[Scored]) -> Table:
    """The benchmark's standard score by folder, all at the threshold that suits all series together best."""
    standard = PROFILES["nab_standard"]
    threshold, _ = best_threshold(series, standard)
    table = Table("folder", "series", "windows", "found", "alarms outside", "nab_standard", title_justify="left")
    table.title = said("by folder")
    for folder in sorted({name.rpartition("/")[0] for name in names}):
        here = [one for name, one in zip(names, series, strict=True) if name.rpartition("/")[0] == folder]
        caught = outside = 0
        for one in here:
            alarms = one.scores >= threshold
            alarms[: one.skipped] = False
            outside += int(alarms.sum()) - sum(int(alarms[first : last + 1].sum()) for first, last in one.windows)
            caught += sum(bool(alarms[first : last + 1].any()) for first, last in one.windows)
        windows = sum(len(one.windows) for one in here)
        score = f"{nab_score(here, standard, threshold):.1f}" if windows else ""
        table.add_row(folder, str(len(here)), str(windows), str(caught), str(outside), score)
    return table


def time_text(time: float, dates: bool) -> str:
    """A time as people write it."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S") if dates else f"{time:g}"
