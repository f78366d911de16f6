"""The known sets as a person would have them: tables, texts and folders of files, without a name and without settings.

Each maker writes a part to train on and a part to score, and says what somebody has to say about such files: which
question is asked of them, such as a horizon, never how to train.
"""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from memfold.data.datasets import DATASETS, find
from memfold.data.tables import ID, TARGET, TIME

__all__ = ["SETS", "Files", "StrangerSet"]

LEAST_CLASS, LEAST_RECORDINGS, LEAST_CHARACTERS = 20, 50, 5_000


@dataclass(frozen=True)
class Files:
    """A set on the disk.

    Attributes:
        train, test: paths for ``fit`` and for ``evaluate``; without the latter ``fit`` scores what it holds out itself.
        asked: settings of ``fit`` that say what the files hold or what is asked.
        scoring: settings of ``evaluate``.
    """

    train: list[str]
    test: list[str]
    asked: tuple[str, ...] = ()
    scoring: tuple[str, ...] = ()


@dataclass(frozen=True)
class StrangerSet:
    """A set, who is asked, and how its files are made.

    Attributes:
        metric: the one in the table.
        make: writes a share of the training part, and the whole test part, below a folder; None where too little would
            remain.
        named: whether 0.1.0 knows it by name, so that a tuned score exists.
    """

    task: str
    metric: str
    make: Callable[[float, Path], Files | None]
    named: bool = True


def _rows(count: int, share: float) -> list[int]:
    """A share of so many rows, the same ones whenever asked."""
    kept = np.random.default_rng(0).permutation(count)[: round(count * share)]
    return sorted(kept.tolist())


def _enough(labels: Sequence[str], share: float) -> bool:
    counts = np.unique(list(labels), return_counts=True)[1]
    return share == 1 or int(counts.min()) >= LEAST_CLASS


# -- series ----------------------------------------------------------------------------------------------------


def _series(name: str) -> Callable[[float, Path], Files | None]:
    def make(share: float, folder: Path) -> Files | None:
        known = DATASETS[name]
        split = known.load(dict(known.parameters))
        train, whole = split.train.known, split.whole.known
        if train[ID].n_unique() > 10:  # many series: fewer of them
            ids = train[ID].unique(maintain_order=True)
            if round(len(ids) * share) < 2:
                return None
            chosen = ids.gather(_rows(len(ids), share))
            train = train.filter(pl.col(ID).is_in(chosen.implode()))
        else:  # few series: the last part of each
            train = train.filter(pl.int_range(pl.len()).over(ID) >= (1 - share) * pl.len().over(ID))
        horizon = known.parameters["horizon"]
        if train.group_by(ID).len()["len"].min() < 3 * horizon:
            return None
        for part, frame in (("train", train), ("whole", whole)):
            columns = frame if frame[ID].n_unique() > 1 else frame.drop(ID)
            columns.rename({TIME: "time", TARGET: "value"}).write_csv(folder / f"{part}.csv")
        asked = ["time=time", "target=value", f"horizon={horizon}"]
        if future := known.parameters.get("future"):
            asked.append(f"future={','.join(future)}")
        steps = int((split.whole.lengths - split.train.lengths).min())
        apart = -(-(steps // horizon) // 200) * horizon
        scoring = (f"origins={steps // apart}", f"origin_step={apart}")
        return Files([str(folder / "train.csv")], [str(folder / "whole.csv")], tuple(asked), scoring)

    return make


def _nab(share: float, folder: Path) -> Files | None:
    if share < 1:
        return None
    source = find("nab")
    windows = json.loads((source / "labels" / "combined_windows.json").read_text())
    paths = []
    for name, limits in sorted(windows.items()):
        table = pl.read_csv(source / "data" / name, try_parse_dates=True)
        inside = pl.lit(False)
        for first, last in limits:
            begin, end = (pl.lit(text).str.to_datetime() for text in (first, last))
            inside = inside | pl.col("timestamp").is_between(begin, end)
        path = folder / name.replace("/", "_")
        table.with_columns(label=inside.cast(pl.Int8)).write_csv(path)
        paths.append(str(path))
    return Files(paths, [], ("warm_up=0.15", "most_warm_up=750"))


# -- texts -----------------------------------------------------------------------------------------------------


def _prose(name: str) -> Callable[[float, Path], Files | None]:
    def make(share: float, folder: Path) -> Files | None:
        train, test = DATASETS[name].load({})
        train = train[: round(len(train) * share)]
        if len(train) < LEAST_CHARACTERS:
            return None
        (folder / "train.txt").write_text(train, encoding="utf-8")
        (folder / "test.txt").write_text(test, encoding="utf-8")
        return Files([str(folder / "train.txt")], [str(folder / "test.txt")])

    return make


def _labelled(name: str) -> Callable[[float, Path], Files | None]:
    def make(share: float, folder: Path) -> Files | None:
        train, test, *_ = DATASETS[name].load({"fold": 0})
        rows = _rows(len(train.texts), share)
        labels = [train.labels[row] for row in rows]
        if not _enough(labels, share):
            return None
        pl.DataFrame({"text": [train.texts[row] for row in rows], "label": labels}).write_csv(folder / "train.csv")
        pl.DataFrame({"text": test.texts, "label": test.labels}).write_csv(folder / "test.csv")
        return Files([str(folder / "train.csv")], [str(folder / "test.csv")])

    return make


def _pairs(name: str) -> Callable[[float, Path], Files | None]:
    def make(share: float, folder: Path) -> Files | None:
        train, test, *_ = DATASETS[name].load(dict(DATASETS[name].parameters))
        rows = _rows(len(train), share)
        for part, text, chosen in (("train", train, rows), ("test", test, range(len(test)))):
            pairs = {side: [getattr(text, side)[row] for row in chosen] for side in ("source", "target")}
            pl.DataFrame(pairs).write_csv(folder / f"{part}.tsv", separator="\t")
        return Files([str(folder / "train.tsv")], [str(folder / "test.tsv")])

    return make


# -- sound -----------------------------------------------------------------------------------------------------


def _mboshi(share: float, folder: Path) -> Files | None:
    train, test, *_ = DATASETS["mboshi"].load({})
    rows = _rows(len(train), share)
    if len(rows) < LEAST_RECORDINGS:
        return None
    for part, text, chosen in (("train", train, rows), ("test", test, range(len(test)))):
        columns = {"audio": [str(text.audio[row]) for row in chosen], "text": [text.texts[row] for row in chosen]}
        pl.DataFrame(columns).write_csv(folder / f"{part}.csv")
    return Files([str(folder / "train.csv")], [str(folder / "test.csv")])


def _fsdd(share: float, folder: Path) -> Files | None:
    train, test = DATASETS["fsdd"].load({})
    rows = _rows(len(train.labels), share)
    if not _enough([train.labels[row] for row in rows], share):
        return None
    for part, text, chosen in (("train", train, rows), ("test", test, range(len(test.labels)))):
        for row in chosen:
            path = Path(str(text.paths[row]))
            number = path.stem.rsplit("_", 1)[1]
            _link(path, folder / part / text.labels[row] / f"{text.speakers[row]}_nohash_{number}{path.suffix}")
    return Files([str(folder / "train")], [str(folder / "test")])


# -- images ----------------------------------------------------------------------------------------------------


def _mnist(share: float, folder: Path) -> Files | None:
    train, test = DATASETS["mnist"].load({"size": 28})
    rows = _rows(len(train.labels), share)
    if not _enough([train.labels[row] for row in rows], share):
        return None
    for part, images, chosen in (("train", train, rows), ("test", test, range(len(test.labels)))):
        for row in chosen:
            _write_image(images.pixels[row], folder / part / images.labels[row] / f"{row:05}.png")
    return Files([str(folder / "train")], [str(folder / "test")])


def _write_image(pixels: NDArray[np.uint8], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)).save(path)


def _folders(root: Path, train: str, test: str) -> Callable[[float, Path], Files | None]:
    def make(share: float, folder: Path) -> Files | None:
        classes = sorted(path.name for path in (root / train).iterdir() if path.is_dir())
        for label in classes:
            files = sorted((root / train / label).iterdir())
            rows = _rows(len(files), share)
            if share < 1 and len(rows) < LEAST_CLASS:
                return None
            for row in rows:
                _link(files[row], folder / "train" / label / files[row].name)
            for file in (root / test / label).iterdir():
                _link(file, folder / "test" / label / file.name)
        return Files([str(folder / "train")], [str(folder / "test")])

    return make


def _orl(share: float, folder: Path) -> Files | None:
    if share < 1:
        return None
    for person in sorted(find("orl-faces").glob("s*")):
        for file in person.glob("*.pgm"):
            _link(file, folder / ("train" if int(file.stem) <= 5 else "test") / person.name / file.name)
    return Files([str(folder / "train")], [str(folder / "test")])


def _voc(root: Callable[[], Path], train: Sequence[str], test: str) -> Callable[[float, Path], Files | None]:
    def make(share: float, folder: Path) -> Files | None:
        lists = root() / "ImageSets" / "Main"
        named = [line.split()[0] for part in train for line in (lists / f"{part}.txt").read_text().splitlines() if line]
        kept = [named[row] for row in _rows(len(named), share)]
        if share < 1 and len(kept) < LEAST_CLASS:
            return None
        tested = [line.split()[0] for line in (lists / f"{test}.txt").read_text().splitlines() if line]
        for part, names in (("train", kept), ("test", tested)):
            for name in names:
                (image,) = (root() / "JPEGImages").glob(f"{name}.*")
                _link(image, folder / part / "JPEGImages" / image.name)
                _link(root() / "Annotations" / f"{name}.xml", folder / part / "Annotations" / f"{name}.xml")
        return Files([str(folder / "train")], [str(folder / "test")])

    return make


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source.resolve(), target)


def _data() -> Path:
    return Path(os.environ["MEMFOLD_DATA"])


def _strangers(name: str) -> Any:
    return lambda share, folder: _folders(_data() / name, "train", "val")(share, folder)


SETS = {
    "nyc-taxi": StrangerSet("forecast", "smape", _series("nyc-taxi")),
    "us-births": StrangerSet("forecast", "smape", _series("us-births"), named=False),
    "etth1": StrangerSet("forecast", "mase", _series("etth1")),
    "m4-hourly": StrangerSet("forecast", "owa", _series("m4-hourly")),
    "nab": StrangerSet("anomaly", "nab_standard", _nab),
    "tinyshakespeare": StrangerSet("generate", "nats_carried", _prose("tinyshakespeare")),
    "warpeace": StrangerSet("generate", "nats_carried", _prose("warpeace")),
    "tang-poems": StrangerSet("generate", "nats_carried", _prose("tang-poems")),
    "sst2": StrangerSet("sentiment", "accuracy", _labelled("sst2")),
    "mr": StrangerSet("sentiment", "accuracy", _labelled("mr")),
    "chnsenticorp": StrangerSet("sentiment", "accuracy", _labelled("chnsenticorp")),
    "multi30k": StrangerSet("translate", "bleu", _pairs("multi30k")),
    "tatoeba-cmn-eng": StrangerSet("translate", "chrf", _pairs("tatoeba-cmn-eng")),
    "mboshi": StrangerSet("transcribe", "cer", _mboshi),
    "fsdd": StrangerSet("command", "accuracy", _fsdd),
    "mnist": StrangerSet("classify", "accuracy", _mnist),
    "ants-bees": StrangerSet("classify", "accuracy", _strangers("ants-bees"), named=False),
    "bccd": StrangerSet("detect", "map50", _voc(lambda: find("bccd") / "BCCD", ("train", "val"), "test")),
    "kangaroo": StrangerSet("detect", "map50", _voc(lambda: _data() / "kangaroo", ("train",), "test"), named=False),
    "orl-faces": StrangerSet("faces", "rank1", _orl),
}
