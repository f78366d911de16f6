"""A small model of every task, with data that it is fitted to in a moment."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import soundfile
from PIL import Image

from memfold.tasks import Task
from memfold.tasks.registry import task_class
from tasks.detect.scenes import scenes, write_voc


@dataclass
class Small:
    """A task, and what it is fitted to.

    Attributes:
        parameters: of the task, small ones.
        data: files, as the command line takes them.
        X, y: the same as scikit-learn has it; no y where the answers are in X.
        refused: data that a fit refuses after it has read them.
        broken: files with one among them that cannot be read, where the task reads several.
        search: a parameter and values for a search.
        cv: of the search.
    """

    name: str
    parameters: dict[str, Any]
    data: list[str]
    X: Any
    y: Any = None
    refused: Any = None
    broken: list[str] = field(default_factory=list)
    search: tuple[str, list[Any]] = ("hidden_size", [4, 8])
    cv: Any = 2

    def model(self, **changes: Any) -> Task:
        return task_class(self.name)(**{**self.parameters, **changes})

    def fitted(self, **options: Any) -> Task:
        return self.model().fit(self.X, self.y, **{"budget": "2ep", "progress": False, **options})


def forecast(folder: Path) -> Small:
    y = np.tile([1.0, 2.0, 4.0, 3.0], 30) + 0.3 * np.random.default_rng(0).normal(size=120)
    table = pl.DataFrame({"ds": range(120), "y": y})
    table.write_csv(folder / "series.csv")
    small = Small(
        "forecast",
        {"horizon": 4, "seasons": (4,), "hidden_size": 4, "pretrained": False},
        [str(folder / "series.csv")],
        table,
    )
    small.cv = small.model().splitter(2)  # type: ignore[attr-defined]
    small.refused = table.head(2)
    return small


def anomaly(folder: Path) -> Small:
    y = np.sin(np.arange(300) * 0.3)
    y[60::60] = 5.0
    table = pl.DataFrame({"ds": range(300), "y": y, "label": (np.arange(300) % 60 == 0).astype(int)})
    table.write_csv(folder / "readings.csv")
    (folder / "broken.csv").write_text("ds,y\n1,high\n")
    data = [str(folder / "readings.csv")]
    small = Small("anomaly", {"hidden_size": 4, "window": 16, "batch_size": 4, "pretrained": False}, data, table)
    small.broken = [*data, str(folder / "broken.csv")]
    small.cv = small.model().splitter(2)  # type: ignore[attr-defined]
    small.refused = table.head(6)
    return small


def generate(folder: Path) -> Small:
    texts = [f'{name} said "no" to the old man.\n  She said "yes" and went.\n' * 20 for name in ("He", "Ann")]
    for number, text in enumerate(texts):
        (folder / f"{number}.txt").write_text(text, encoding="utf-8")
    (folder / "broken.txt").write_bytes(b"caf\xe9\x00\n" * 20)
    data = [str(folder / "0.txt"), str(folder / "1.txt")]
    small = Small("generate", {"hidden_size": 8, "batch_size": 2, "window": 16}, data, texts)
    small.broken, small.refused = [*data, str(folder / "broken.txt")], ["ab"]
    return small


def sentiment(folder: Path) -> Small:
    texts, labels = ["a good day", "what a bad day"] * 20, ["good", "bad"] * 20
    pl.DataFrame({"text": texts, "label": labels}).write_csv(folder / "texts.csv")
    (folder / "broken.csv").write_text("opinion\nx\n")
    data = [str(folder / "texts.csv")]
    small = Small("sentiment", {"embedding_size": 8, "hidden_size": 4, "members": 1, "lr": 1e-2}, data, texts, labels)
    small.broken = [*data, str(folder / "broken.csv")]
    small.refused = pl.DataFrame({"text": ["a"] * 4, "label": ["one"] * 4})
    return small


def translate(folder: Path) -> Small:
    pairs = [(f"{a} {b}", f"{b} {a}") for a in ("one", "two", "ten") for b in ("cat", "dog", "fox")] * 6
    lines = "\n".join("\t".join(pair) for pair in pairs)
    (folder / "pairs.tsv").write_text(f"en\txx\n{lines}\n", encoding="utf-8")
    sources, targets = map(list, zip(*pairs, strict=True))
    parameters = {"vocabulary": 40, "hidden_size": 8, "embedding_size": 8, "batch_tokens": 100, "beam": 2}
    small = Small("translate", parameters, [str(folder / "pairs.tsv")], sources, targets)
    small.search, small.refused = ("dropout", [0.0, 0.2]), [("one", "two")]
    return small


def tone(path: Path, hertz: float, seconds: float = 0.4) -> str:
    time = np.arange(round(8000 * seconds)) / 8000
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * hertz * time), 8000)
    return str(path)


def command(folder: Path) -> Small:
    paths, labels = [], []
    for label, hertz in (("low", 300), ("high", 1500)):
        (folder / "commands" / label).mkdir(parents=True)
        for number in range(8):
            paths.append(tone(folder / "commands" / label / f"{number}.wav", hertz + 10 * number))
            labels.append(label)
    (folder / "aside").mkdir()
    (folder / "aside" / "broken.wav").write_bytes(b"no sound")
    parameters = {"rate": 8000, "bins": 8, "channels": 8, "hidden_size": 4, "batch_size": 8}
    small = Small("command", parameters, [str(folder / "commands")], paths, labels)
    small.broken = [paths[0], str(folder / "aside" / "broken.wav")]
    small.refused = str(folder / "aside")
    return small


def transcribe(folder: Path) -> Small:
    paths, texts = [], []
    for number in range(10):
        paths.append(tone(folder / f"{number}.wav", 300 + 100 * (number % 4), 0.6))
        texts.append("ab" if number % 2 else "ba")
    rows = [json.dumps({"audio": path, "text": text}) for path, text in zip(paths, texts, strict=True)]
    (folder / "manifest.jsonl").write_text("\n".join(rows))
    (folder / "broken.wav").write_bytes(b"no sound")
    parameters = {"rate": 8000, "bins": 8, "hidden_size": 4, "num_layers": 1, "beam": 1}
    small = Small("transcribe", parameters, [str(folder / "manifest.jsonl")], paths, texts)
    small.broken = [paths[0], str(folder / "broken.wav")]
    return small


VISION = {"size": 16, "channels": 8, "hidden_size": 4, "blocks": 1, "stem_stride": 4, "batch_size": 8, "lr": 1e-2}


def _squares(folder: Path) -> tuple[Any, list[str], list[str]]:
    """Images of two classes, with a bright square and without; their labels, and their files."""
    rng = np.random.default_rng(0)
    pixels, labels, paths = [], [], []
    for label, light in (("none", 0), ("square", 150)):
        (folder / "pictures" / label).mkdir(parents=True)
        for number in range(8):
            image = rng.integers(0, 80, (16, 16)).astype(np.uint8)
            image[5:9, 3:8] += light
            path = folder / "pictures" / label / f"{number}.png"
            Image.fromarray(image).save(path)
            pixels.append(image)
            labels.append(label)
            paths.append(str(path))
    (folder / "broken.png").write_bytes(b"no image")
    return np.stack(pixels), labels, paths


def classify(folder: Path) -> Small:
    X, y, paths = _squares(folder)
    small = Small("classify", VISION, [str(folder / "pictures")], X, y)
    small.broken, small.refused = [paths[0], str(folder / "broken.png")], str(folder / "pictures" / "none")
    return small


def faces(folder: Path) -> Small:
    X, y, paths = _squares(folder)
    small = Small("faces", {**VISION, "embedding_size": 4}, [str(folder / "pictures")], X, y)
    small.broken, small.refused = [paths[0], str(folder / "broken.png")], str(folder / "pictures" / "none")
    return small


def detect(folder: Path) -> Small:
    voc = write_voc(folder / "scenes", scenes(8))
    parameters = {"size": 72, "channels": 8, "blocks": 1, "hidden_size": 4, "batch_size": 4}
    images = task_class("detect")(**parameters).read(voc)
    X = [str(path) for path in images.paths]
    y = [
        [(label, *box) for label, box in zip(labels, np.asarray(boxes).tolist(), strict=True)]
        for labels, boxes in zip(images.labels, images.boxes, strict=True)
    ]
    (folder / "broken.png").write_bytes(b"no image")
    small = Small("detect", parameters, [str(voc)], X, y)
    small.broken = [X[0], str(folder / "broken.png")]
    return small


SMALL: dict[str, Callable[[Path], Small]] = {
    "anomaly": anomaly,
    "classify": classify,
    "command": command,
    "detect": detect,
    "faces": faces,
    "forecast": forecast,
    "generate": generate,
    "sentiment": sentiment,
    "transcribe": transcribe,
    "translate": translate,
}
