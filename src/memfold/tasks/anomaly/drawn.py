"""Series with what was expected of them, and their alarms, drawn."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import polars as pl

from memfold.tasks.anomaly.judged import judged_table
from memfold.tasks.anomaly.report import mark_names, watched_chart
from memfold.words import Words

if TYPE_CHECKING:
    from memfold.tasks.anomaly.task import AnomalyDetector

__all__ = ["drawn"]


def drawn(model: "AnomalyDetector", inputs: Sequence[str], answers: pl.DataFrame) -> Iterator[tuple[str, bytes]]:
    """An SVG of every series and variable: its name, and what it holds."""
    series = model.parts(inputs).test if model.known_set(inputs) else model.read_files(list(inputs))
    for place, (one, judged) in enumerate(zip(series, model.answer(series).judgements, strict=True)):
        table = judged_table(one, judged, model.variables_, model.is_alarm)
        for column, variable in enumerate(model.variables_):
            chart = watched_chart(table, one.values[:, column].tolist(), variable, mark_names(Words()))
            name = one.name or f"series {place + 1}"
            name = name if len(model.variables_) == 1 else f"{name} {variable}"
            yield name, chart.svg(name).encode()
