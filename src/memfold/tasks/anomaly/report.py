"""The section of a report that shows a watched series: expected values, actual values and alarms."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from memfold.data.readings import Readings
from memfold.drawing import Chart, Choice, Look
from memfold.page import ACTUAL, Section
from memfold.tasks.anomaly.judged import Judged, judged_table
from memfold.words import Words

if TYPE_CHECKING:
    from memfold.tasks.anomaly.task import AnomalyDetector

__all__ = ["judged_section", "watched_chart", "watched_section"]

MOST_SHOWN = 5  # series


def judged_section(detector: "AnomalyDetector", series: list[Readings], answers: Judged, words: Words) -> Section:
    """Series with their expected bands, their alarms and what is labelled."""
    charts = {}
    for place, (one, judged) in enumerate(zip(series[:MOST_SHOWN], answers.judgements, strict=False)):
        variable = detector.variables_[0]
        table = judged_table(one, judged, detector.variables_, detector.is_alarm)
        chart = watched_chart(table, one.values[:, 0].tolist(), variable, mark_names(words))
        if one.windows:
            times = table["ds"].to_list()
            begin, end = ([times[row] for row in rows] for rows in zip(*one.windows, strict=True))
            chart.spans(begin, end, words("labelled"))
        name = one.name or words("numbered series", number=place + 1)
        charts[name if name not in charts else f"{name} ({place + 1})"] = chart
    alarms = sum(int(alarm[skip:].sum()) for alarm, skip in zip(answers.alarms, answers.skipped, strict=True))
    skipped = sum(answers.skipped)
    text = words("watched text", points=sum(len(one.times) for one in series) - skipped, alarms=alarms)
    if skipped:
        text = words.joined(text, words("watched skipped", skipped=skipped))
    some = words("watched some", shown=MOST_SHOWN, all=len(series)) if len(series) > MOST_SHOWN else ""
    return words("watched"), words.joined(text, some), Choice(charts, words("choose series"))


def watched_section(
    heading: str,
    text: str,
    judged: pl.DataFrame,
    values: list[float],
    variable: str,
    events: Mapping[str, tuple[datetime, datetime]],
    words: Words,
) -> Section:
    """A series with its expected band and its alarms.

    Args:
        judged: what `AnomalyDetector.predict` returned for one series, or some rows of it.
        values: the actual values, one a row.
        events: what is known to have happened, from when to when.
    """
    chart = watched_chart(judged, values, variable, mark_names(words))
    if events:
        names, spans = list(events), list(events.values())
        chart.spans([begin for begin, _ in spans], [end for _, end in spans], ", ".join(names), names)
    return heading, text, chart


def mark_names(words: Words) -> tuple[str, str, str, str]:
    """Of the band, the values, the score and the alarms of `watched_chart`."""
    return words("expected"), words("actual"), words("anomaly score"), words("alarm")


def watched_chart(judged: pl.DataFrame, values: list[float], variable: str, names: tuple[str, str, str, str]) -> Chart:
    """The expected band and the actual values, the score on the right, and the alarms.

    Args:
        judged: as for `watched_section`.
        names: of the band, the values, the score and the alarms.
    """
    band, actual, score, alarm = names
    times = judged["ds"].to_list()
    rows = [row for row, alarm in enumerate(judged["alarm"].to_list()) if alarm]
    chart = Chart(variable, zero=False, right_extent=(0.0, 2.0))
    chart.band(times, judged[f"lo80_{variable}"].to_list(), judged[f"hi80_{variable}"].to_list(), band)
    chart.line(times, values, actual, ACTUAL)
    chart.line(times, judged["score"].to_list(), score, Look("plus", "", 1.2), right=True)
    return chart.points([times[row] for row in rows], [values[row] for row in rows], alarm, Look("minus"))
