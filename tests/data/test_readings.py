import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from memfold.data.readings import load_nab, read_readings
from memfold.errors import InputError


def test_uneven_times_and_several_series_are_read() -> None:
    frame = pl.DataFrame(
        {
            "timestamp": ["2024-01-01 00:05", "2024-01-01 00:00", "2024-01-01 00:07"],
            "value": [2, 1, 3],
            "unique_id": list("aab"),
        }
    )
    a, b = read_readings(frame)
    assert (a.name, a.values.tolist(), a.dates, a.step) == ("a", [[1.0], [2.0]], True, 300.0)
    assert (b.name, b.windows) == ("b", None)


def test_labels_become_windows() -> None:
    frame = pl.DataFrame({"ds": range(6), "y": [0.0] * 6, "anomaly": [1, 1, 0, 0, 1, 0]})
    (one,) = read_readings(frame)
    assert one.windows == ((0, 1), (4, 4))
    assert not one.dates


@pytest.mark.parametrize(
    ("columns", "options", "what"),
    [
        ({"ds": [1], "z": ["a"], "w": ["b"]}, {}, "no column for the values; it has 'ds', 'z', 'w'"),
        ({"y": [1]}, {}, "no column for the time"),
        ({"ds": [1], "y": [1]}, {"values": ("z",)}, "no column 'z'"),
        ({"ds": [1], "y": [1]}, {"label": "bad"}, "no column 'bad'.*--set label=COLUMN"),
        ({"ds": [1, 2], "y": ["4", "x"]}, {}, "row 3, column 'y': 'x' is not a number"),
        ({"ds": [1, 2], "y": pl.Series([None, None], dtype=pl.Float64)}, {}, "column 'y' holds no value"),
        ({"ds": [], "y": []}, {}, "holds no rows"),
    ],
)
def test_what_cannot_be_read_is_named(columns: dict[str, list[object]], options: dict[str, object], what: str) -> None:
    with pytest.raises(InputError, match=what):
        read_readings(pl.DataFrame(columns), **options)  # type: ignore[arg-type]


def test_all_columns_of_numbers_are_watched_together_and_named() -> None:
    columns = {"": [0, 1, 2], "ts": ["2024-01-01", "2024-01-02", "2024-01-03"], "s1": [1.5, None, 2], "s2": [3, 4, 5]}
    (series,) = read_readings(pl.DataFrame({**columns, "state": ["a", "b", "a"], "plant_id": [7, 7, 7]}))
    assert series.variables == ("s1", "s2")
    assert np.isnan(series.values[1, 0])
    assert series.notes[0] == "values are those of 's1', 's2', watched together; --set values=COLUMN,... names them"
    assert series.notes[1] == "not read: 'plant_id', '', 'state'"
    assert series.notes[-1] == "column 's1': 1 cell empty; the others of such rows are judged alone"


def test_a_later_table_is_read_by_the_columns_of_an_earlier_one() -> None:
    frame = pl.DataFrame({"ds": [1, 2], "a": [1.0, 2.0], "b": pl.Series([None, None], dtype=pl.Float64), "c": [5, 6]})
    (series,) = read_readings(frame, before=("a", "b"))
    assert series.variables == ("a", "b")


def test_the_benchmark_is_read_with_its_windows(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "data" / "real").mkdir(parents=True)
    rows = "\n".join(f"2014-07-01 00:{minute:02d}:00,{minute}" for minute in range(0, 60, 5))
    (tmp_path / "data" / "real" / "one.csv").write_text(f"timestamp,value\n{rows}\n")
    limits = [["2014-07-01 00:10:00.000000", "2014-07-01 00:20:00.000000"]]
    (tmp_path / "labels" / "combined_windows.json").write_text(json.dumps({"real/one.csv": limits}))
    (one,) = load_nab(tmp_path)
    assert (one.name, one.windows, len(one.times)) == ("real/one.csv", ((2, 4),), 12)
    with pytest.raises(InputError, match=r"combined_windows\.json: not readable"):
        load_nab(tmp_path / "nowhere")
