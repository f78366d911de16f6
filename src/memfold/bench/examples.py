"""Made-up examples of the size that people have, one set a task: what a training step takes depends on nothing else.

They are written as files, so that a benchmark's batches come as those of a fit.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["EXAMPLES", "written"]

VOCABULARY = 4000  # words
WORDS = (5, 40)  # of a sentence
SECONDS = (1.5, 4.0)  # of a recording
RATE = 16_000
Generator = np.random.Generator


def written(task: str, folder: Path) -> tuple[str, dict[str, Any]]:
    """Write a task's examples into a folder.

    Returns:
        The path to fit to, and the parameters that a fit needs.
    """
    return EXAMPLES[task](folder, np.random.default_rng(0))


def _series(folder: Path, rng: Generator) -> tuple[str, dict[str, Any]]:
    """Forty hourly series of six weeks."""
    import polars as pl

    hours = np.arange(24 * 42)
    start = np.datetime64("2025-01-06T00", "h")
    parts = []
    for k in range(40):
        y = 100 + 20 * np.sin(2 * np.pi * hours / 24 + k) + 10 * np.sin(2 * np.pi * hours / 168) + rng.normal(size=1008)
        parts.append(
            pl.DataFrame({"unique_id": [f"s{k}"] * len(hours), "ds": (start + hours).astype("<M8[us]"), "y": y})
        )
    pl.concat(parts).write_parquet(folder / "series.parquet")
    return str(folder / "series.parquet"), {"horizon": 24}


def _readings(folder: Path, rng: Generator) -> tuple[str, dict[str, Any]]:
    """Three sensors every five minutes for two weeks."""
    import polars as pl

    steps = np.arange(288 * 14)
    times = (np.datetime64("2025-01-06T00:00", "m") + 5 * steps).astype("<M8[us]")
    columns = {f"sensor{k}": np.sin(2 * np.pi * steps / 288 + k) + 0.1 * rng.normal(size=len(steps)) for k in range(3)}
    pl.DataFrame({"ds": times, **columns}).write_parquet(folder / "readings.parquet")
    return str(folder / "readings.parquet"), {"values": tuple(columns)}


def _words(rng: Generator, count: int) -> list[str]:
    """By Zipf's law, as words of a language come."""
    ranks = np.minimum(rng.zipf(1.3, count), VOCABULARY)
    return ["".join(chr(ord("a") + int(digit, 16)) for digit in f"{rank:x}") for rank in ranks]


def _sentence(rng: Generator) -> str:
    return " ".join(_words(rng, int(rng.integers(*WORDS))))


def _prose(folder: Path, rng: Generator) -> tuple[str, dict[str, Any]]:
    """A text of some 600,000 characters, 65 different ones."""
    letters = np.array(list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ .,;:!?'-()\n&"))
    chances = np.arange(1, len(letters) + 1) ** -1.0
    text = "".join(rng.choice(letters, 600_000, p=chances / chances.sum()))
    (folder / "prose.txt").write_text(text, encoding="utf-8")
    return str(folder / "prose.txt"), {"coupled": False}


def _reviews(folder: Path, rng: Generator) -> tuple[str, dict[str, Any]]:
    import polars as pl

    texts = [_sentence(rng) for _ in range(3000)]
    pl.DataFrame({"text": texts, "label": ["good" if k % 2 else "bad" for k in range(3000)]}).write_csv(
        folder / "reviews.csv"
    )
    return str(folder / "reviews.csv"), {}


def _pairs(folder: Path, rng: Generator) -> tuple[str, dict[str, Any]]:
    lines = [f"{text}\t{text[::-1]}" for text in (_sentence(rng) for _ in range(2000))]
    (folder / "pairs.tsv").write_text("\n".join(lines), encoding="utf-8")
    return str(folder / "pairs.tsv"), {}


def _sound(folder: Path, name: str, seconds: float, rng: Generator) -> str:
    import soundfile

    samples = 0.1 * rng.standard_normal(round(seconds * RATE))
    soundfile.write(folder / name, samples.astype(np.float32), RATE)
    return name


def _speech(folder: Path, rng: Generator) -> tuple[str, dict[str, Any]]:
    lines = ["audio\ttext"]
    for k in range(120):
        seconds = float(rng.uniform(*SECONDS))
        text = "".join(rng.choice(list("abcdefghij "), round(10 * seconds))).strip() or "a"
        lines.append(f"{_sound(folder, f'{k}.wav', seconds, rng)}\t{' '.join(text.split())}")
    (folder / "speech.tsv").write_text("\n".join(lines), encoding="utf-8")
    return str(folder / "speech.tsv"), {}


def _commands(folder: Path, rng: Generator) -> tuple[str, dict[str, Any]]:
    for word in ("yes", "no", "on", "off", "up", "down"):
        (folder / word).mkdir()
        for k in range(40):
            _sound(folder / word, f"{k}.wav", 1.0, rng)
    return str(folder), {}


def _picture(path: Path, size: tuple[int, ...], rng: Generator) -> None:
    from PIL import Image

    Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(path)


def _pictures(folder: Path, rng: Generator) -> tuple[str, dict[str, Any]]:
    for k in range(10):
        (folder / f"class{k}").mkdir()
        for n in range(40):
            _picture(folder / f"class{k}" / f"{n}.png", (64, 64, 3), rng)
    return str(folder), {}


def _scenes(folder: Path, rng: Generator) -> tuple[str, dict[str, Any]]:
    import json

    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for k in range(40):
        _picture(folder / f"{k}.png", (240, 320, 3), rng)
        images.append({"id": k, "file_name": f"{k}.png", "width": 320, "height": 240})
        for _ in range(3):
            x, y, width, height = (int(v) for v in rng.integers((0, 0, 40, 40), (200, 120, 120, 120)))
            box = {"id": len(boxes), "image_id": k, "category_id": 1, "bbox": [x, y, width, height]}
            boxes.append(box | {"area": width * height, "iscrowd": 0})
    scenes = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "thing"}]}
    (folder / "scenes.json").write_text(json.dumps(scenes), encoding="utf-8")
    return str(folder / "scenes.json"), {}


def _people(folder: Path, rng: Generator) -> tuple[str, dict[str, Any]]:
    for k in range(25):
        (folder / f"person{k}").mkdir()
        for n in range(8):
            _picture(folder / f"person{k}" / f"{n}.png", (112, 92), rng)
    return str(folder), {}


EXAMPLES: dict[str, Callable[[Path, Generator], tuple[str, dict[str, Any]]]] = {
    "anomaly": _readings,
    "classify": _pictures,
    "command": _commands,
    "detect": _scenes,
    "faces": _people,
    "forecast": _series,
    "generate": _prose,
    "sentiment": _reviews,
    "transcribe": _speech,
    "translate": _pairs,
}
