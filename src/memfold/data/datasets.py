"""Data sets known by name: ``@m4-hourly`` on the command line, a folder of files on the disk.

A set is taken from ``$MEMFOLD_DATA/NAME`` where that exists, from the package where it is small enough to be shipped,
and else downloaded once, its hash checked.
"""

import importlib
import inspect
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl

from memfold.data.tables import ID, TARGET, TIME, SeriesTable, read_series
from memfold.errors import InputError

__all__ = ["DATASETS", "DataSet", "SeriesSplit", "dataset", "find", "known_set", "load_split", "names_set"]

SHIPPED = {"nyc-taxi", "us-births"}
TAXI_DAYS, BIRTH_DAYS = 14, 364  # at the end, the test part
ETT_HOURS, ETT_SCORED = 14_400, 2_880  # of the file; the last ones of these are the test part


@dataclass(frozen=True)
class DataSet:
    """A named data set.

    Attributes:
        task: the task it is for.
        loader: the function that gives its parts to train on, to test on and, where it has one, to validate on, as
            ``module:function``; it takes parameters of the task by their names, and ``name``, the set's.
        parameters: what the task needs to know of it.
    """

    name: str
    task: str
    what: str
    licence: str
    loader: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def load(self, parameters: Mapping[str, Any]) -> Any:
        """What its loader gives to a task with these parameters.

        Raises:
            InputError: files that are not there, or cannot be read.
        """
        module, _, name = self.loader.partition(":")
        loader = getattr(importlib.import_module(module), name)
        known = {"name": self.name, **parameters}
        return loader(**{key: known[key] for key in inspect.signature(loader).parameters if key in known})


def _registry() -> dict[str, dict[str, tuple[str, str]]]:
    registry: dict[str, dict[str, tuple[str, str]]] = {}
    for line in (files("memfold.data") / "registry.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            path, digest, address = line.split()
            name, _, file = path.partition("/")
            registry.setdefault(name, {})[file] = address, digest
    return registry


REGISTRY = _registry()  # set -> file -> (address, SHA-256); not those that are shipped, or must be had by hand
DATASETS = {
    known.name: known
    for known in (
        DataSet(
            "nyc-taxi",
            "forecast",
            "half-hourly taxi passengers in New York, July 2014 to January 2015 (from NAB); shipped with memfold",
            "MIT",
            "memfold.data.datasets:load_split",
            parameters={
                "time": "timestamp",
                "target": "value",
                "horizon": 48,
            },
        ),
        DataSet(
            "us-births",
            "forecast",
            "births in the United States by day, 1994 to 2014, with the calendar's holidays; shipped with memfold",
            "public domain",
            "memfold.data.datasets:load_split",
            parameters={
                "time": "date",
                "target": "births",
                "horizon": 14,
                "seasons": (7, 14, 21, 28, 35, 42, 49, 56),
                "context": 56,
                "future": (
                    "holiday",
                    "lesser",
                    "eve",
                    "after",
                    "christmas",
                    "year_end",
                    "easter",
                    "avoided",
                    "wished",
                ),
                "lr": 5e-3,
                "batch_size": 32,
            },
        ),
        DataSet(
            "etth1",
            "forecast",
            "seven hourly readings of an electricity transformer (ETT), 11,520 hours and 2,880 that are scored",
            "CC BY-ND 4.0",
            "memfold.data.datasets:load_split",
            parameters={
                "horizon": 24,
                "seasons": (24, 168),
                "hidden_size": 32,
                "dropout": 0.5,
                "linear": True,
                "lr": 1e-3,
            },
        ),
        DataSet(
            "m4-hourly",
            "forecast",
            "414 hourly series of the M4 competition, 48 hours to forecast",
            "none stated; research",
            "memfold.data.datasets:load_split",
            parameters={"horizon": 48},
        ),
        DataSet(
            "nab",
            "anomaly",
            "the Numenta Anomaly Benchmark, 58 series with 116 labelled windows; get it from github.com/numenta/NAB",
            "MIT",
            "memfold.data.readings:load_nab",
            parameters={"warm_up": 0.15, "most_warm_up": 750},  # as the benchmark has it
        ),
        DataSet(
            "tinyshakespeare",
            "generate",
            "1.1 million characters of Shakespeare; the last tenth is scored",
            "public domain",
            "memfold.data.prose:load_prose",
        ),
        DataSet(
            "warpeace",
            "generate",
            "War and Peace, 3.2 million characters; the last tenth is scored",
            "public domain",
            "memfold.data.prose:load_prose",
        ),
        DataSet(
            "tang-poems",
            "generate",
            "10,008 Tang poems, in Chinese",
            "MIT",
            "memfold.data.prose:load_prose",
        ),
        DataSet(
            "sst2",
            "sentiment",
            "sentences of movie reviews, good or bad (Stanford Sentiment Treebank)",
            "research",
            "memfold.data.labelled:load_labelled",
        ),
        DataSet(
            "mr",
            "sentiment",
            "10,662 sentences of movie reviews, good or bad; ten folds",
            "research",
            "memfold.data.labelled:load_labelled",
        ),
        DataSet(
            "chnsenticorp",
            "sentiment",
            "7,765 Chinese hotel reviews, good or bad",
            "research",
            "memfold.data.labelled:load_labelled",
        ),
        DataSet(
            "multi30k",
            "translate",
            "29,000 captions in English and German; scored on the test part of 2016",
            "non-commercial research",
            "memfold.data.parallel:load_multi30k",
            parameters={"source": "en", "target": "de"},
        ),
        DataSet(
            "tatoeba-cmn-eng",
            "translate",
            "23,610 sentences in English and Chinese; get cmn-eng.zip from manythings.org/anki",
            "CC BY 2.0 FR",
            "memfold.data.parallel:load_tatoeba",
        ),
        DataSet(
            "mboshi",
            "transcribe",
            "four hours of read Mboshi (Congo); get it from github.com/besacier/mboshi-french-parallel-corpus",
            "research",
            "memfold.data.speech:load_mboshi",
        ),
        DataSet(
            "fsdd",
            "command",
            "3,000 spoken digits from six speakers; get it from github.com/Jakobovski/free-spoken-digit-dataset",
            "CC BY-SA 4.0",
            "memfold.data.commands:load_fsdd",
        ),
        DataSet(
            "bccd",
            "detect",
            "364 pictures of blood, boxes of three kinds of cells; get it from github.com/Shenggan/BCCD_Dataset",
            "MIT",
            "memfold.data.box_files:load_bccd",
        ),
        DataSet(
            "mnist",
            "classify",
            "70,000 handwritten digits, 10,000 of which are scored; get the four files from yann.lecun.com/exdb/mnist",
            "public",
            "memfold.data.images:load_mnist",
        ),
        DataSet(
            "orl-faces",
            "faces",
            "40 people, 10 images each (Olivetti Research Laboratory, Samaria & Harter 1994); get AT&T's database of "
            "faces from cl.cam.ac.uk/research/dtg/attarchive",
            "free with credit",
            "memfold.data.images:load_orl",
        ),
    )
}


@dataclass(frozen=True)
class SeriesSplit:
    """A table of series to train on, and the same with the part that follows and is scored once."""

    train: SeriesTable
    whole: SeriesTable


def dataset(name: str, task: str | None = None) -> DataSet:
    """A known data set; of a task when one is given.

    Raises:
        InputError: there is no such set, or it is for another task.
    """
    known = DATASETS.get(name)
    if known is not None and task in (None, known.task):
        return known
    fitting = [f"@{other.name}" for other in DATASETS.values() if task in (None, other.task)]
    takes = f"{'known are' if task is None else f'{task} takes'} {', '.join(fitting) or 'none'}"
    if known is None:
        raise InputError(f"@{name}: no such data set; {takes}")
    raise InputError(f"@{name} is a set for {known.task}; {takes}")


def names_set(source: str | Path) -> bool:
    """Whether an input is ``@NAME``; what exists under that very name is a file or folder like any other."""
    text = str(source)
    return text.startswith("@") and " " not in text and not os.path.exists(text)


def known_set(data: Sequence[str], task: str) -> DataSet | None:
    """The data set that a task's inputs name, as ``@NAME``; None when they are files.

    Raises:
        InputError: there is no such set, it is for another task, or something else stands beside it.
    """
    names = [source for source in data if names_set(source)]
    if not names:
        return None
    known = dataset(names[0][1:], task)
    if len(data) > 1:
        raise InputError(f"{names[0]}: {len(data)} files given; a known data set stands alone")
    return known


def find(name: str) -> Path:
    """The folder that holds a set's files; downloads them when they are nowhere yet.

    Raises:
        InputError: no such set, or a file cannot be had or is not the one expected.
    """
    known = dataset(name)
    if (root := os.environ.get("MEMFOLD_DATA")) and (Path(root) / name).is_dir():
        return Path(root) / name
    if name in SHIPPED:
        return Path(str(files("memfold.data") / "bundled"))
    if name not in REGISTRY:
        raise InputError(f"@{name}: {known.what}; put its files into a folder {name} in one that MEMFOLD_DATA names")
    import pooch

    folder = Path(pooch.os_cache("memfold")) / name
    for file, (address, digest) in REGISTRY[name].items():
        try:
            pooch.retrieve(address, known_hash=digest, fname=file, path=folder)
        except (OSError, ValueError) as error:
            hint = "download it yourself and set MEMFOLD_DATA to the folder that holds it"
            raise InputError(f"@{name}: {file} cannot be had from {address} ({error}); {hint}/{name}/{file}") from None
    return folder


def load_split(name: str) -> SeriesSplit:
    """Read a named set of series and its test part.

    Raises:
        InputError: no such set, or a file that is missing or cannot be read.
    """
    known, folder = dataset(name, "forecast"), find(name)
    if name == "m4-hourly":
        train, test = (_wide(folder / f"Hourly-{part}.csv") for part in ("train", "test"))
        last = train.group_by(ID).agg(pl.col(TIME).last().alias("last"))
        test = test.join(last, on=ID, how="left").with_columns(pl.col(TIME) + pl.col("last")).drop("last")
        return SeriesSplit(SeriesTable(train, "1"), SeriesTable(pl.concat([train, test]).sort(ID, TIME), "1"))
    if name == "etth1":
        whole = SeriesTable(_columns(folder / "ETTh1.csv").filter(pl.int_range(pl.len()).over(ID) < ETT_HOURS), "1h")
        return SeriesSplit(whole.head(ETT_SCORED), whole)
    file, scored = ("us_births.csv", BIRTH_DAYS) if name == "us-births" else ("nyc_taxi.csv", TAXI_DAYS * 48)
    columns = {key: known.parameters[key] for key in ("time", "target")}
    whole = read_series(folder / file, **columns, covariates=known.parameters.get("future"))
    return SeriesSplit(whole.head(scored), whole)


def _columns(path: Path) -> pl.DataFrame:
    """A time in the first column and a series in each other one."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    with open(path, "rb") as file:  # not the path, which Polars would take for a pattern
        table = pl.read_csv(file, try_parse_dates=True)
    time, *series = table.columns
    long = table.unpivot(index=time, on=series, variable_name=ID, value_name=TARGET)
    return long.select(ID, pl.col(time).cast(pl.Datetime("us")).alias(TIME), TARGET).sort(ID, TIME)


def _wide(path: Path) -> pl.DataFrame:
    """M4's layout: a series a row, its name first, then its values; shorter rows end in empty cells."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    with open(path, "rb") as file:
        table = pl.read_csv(file, infer_schema_length=None)
    names = table.columns[0]
    long = table.unpivot(index=names, variable_name="column", value_name=TARGET).drop_nulls()
    return long.select(
        pl.col(names).alias(ID), pl.int_range(1, pl.len() + 1).over(names).alias(TIME), pl.col(TARGET).cast(pl.Float64)
    ).sort(ID, TIME)
