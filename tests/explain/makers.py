"""Small models of every task, fitted in seconds, each with an input for it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import soundfile
from PIL import Image

from memfold.tasks import AnomalyDetector, Forecaster
from memfold.tasks.model import Task

Made = tuple[Task, str]  # a fitted model, and an input for it


def forecaster(folder: Path) -> Made:
    y = np.tile([1.0, 2.0, 4.0, 3.0], 50) + 0.3 * np.random.default_rng(0).normal(size=200)
    pl.DataFrame({"ds": range(200), "y": y}).write_csv(folder / "series.csv")
    model = Forecaster(horizon=4, seasons=(4,), hidden_size=8)
    return model.fit(folder / "series.csv", budget="8ep", progress=False), str(folder / "series.csv")


def detector(folder: Path) -> Made:
    y = np.sin(np.arange(400) * 0.3)
    y[380] = 5.0
    pl.DataFrame({"ds": range(400), "y": y}).write_csv(folder / "readings.csv")
    model = AnomalyDetector(hidden_size=8, pretrained=False)
    return model.fit(pl.DataFrame({"ds": range(300), "y": y[:300]}), budget="5ep", progress=False), str(
        folder / "readings.csv"
    )


def generator(folder: Path) -> Made:
    from memfold.tasks.generate import TextGenerator

    text = 'He said "no" to the old man.\n  She said "yes" and went.\n' * 40
    (folder / "text.txt").write_text(text, encoding="utf-8")
    model = TextGenerator(hidden_size=16, batch_size=4, window=16)
    return model.fit(text, budget="4ep", progress=False), str(folder / "text.txt")


def classifier(folder: Path) -> Made:
    from memfold.tasks.sentiment import TextClassifier

    table = pl.DataFrame({"text": ["a good day", "a bad day"] * 40, "label": ["good", "bad"] * 40})
    model = TextClassifier(embedding_size=16, hidden_size=8, members=2, lr=1e-2)
    return model.fit(table, budget="6ep", progress=False), "not a bad </script> day, a good one"


def translator(folder: Path) -> Made:
    from memfold.tasks.translate import Translator

    pairs = [(f"{a} {b}", f"{b} {a}") for a in ("one", "two", "ten") for b in ("cat", "dog", "fox")] * 8
    model = Translator(vocabulary=40, hidden_size=32, embedding_size=32, dropout=0.1, batch_tokens=200, lr=1e-2)
    return model.fit(pairs, budget="12ep", valid=pairs[:9], progress=False), "ten fox"


def tone(path: Path, hertz: float, seconds: float = 0.4) -> None:
    time = np.arange(round(8000 * seconds)) / 8000
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * hertz * time), 8000)


def commander(folder: Path) -> Made:
    from memfold.tasks.command import CommandRecognizer

    for name, hertz in (("low", 300), ("high", 1500)):
        (folder / "commands" / name).mkdir(parents=True)
        for k in range(12):
            tone(folder / "commands" / name / f"{k}.wav", hertz + 10 * k)
    model = CommandRecognizer(rate=8000, bins=8, channels=8, hidden_size=8, batch_size=8)
    return model.fit(folder / "commands", budget="2ep", progress=False), str(folder / "commands" / "low" / "0.wav")


def squares(folder: Path) -> Path:
    """Images of two classes, with a bright square and without; returns the folder."""
    rng = np.random.default_rng(0)
    for name, light in (("none", 0), ("square", 150)):
        (folder / name).mkdir(parents=True)
        for k in range(12):
            pixels = rng.integers(0, 80, (24, 24)).astype(np.uint8)
            pixels[8:13, 3:8] += light
            Image.fromarray(pixels).save(folder / name / f"{k}.png")
    return folder


VISION: dict[str, Any] = {"size": 24, "channels": 8, "hidden_size": 8, "augment": 0.0, "batch_size": 8}


def image_classifier(folder: Path) -> Made:
    from memfold.tasks import ImageClassifier

    pictures = squares(folder / "pictures")
    model = ImageClassifier(**VISION, stem_stride=4, blocks=2, lr=1e-2)
    return model.fit(pictures, budget="40ep", progress=False), str(pictures / "square" / "0.png")


def face_recognizer(folder: Path) -> Made:
    from memfold.tasks import FaceRecognizer

    pictures = squares(folder / "pictures")
    model = FaceRecognizer(**VISION, blocks=1, embedding_size=8)
    return model.fit(pictures, budget="4ep", progress=False), str(pictures / "square" / "0.png")


def object_detector(folder: Path, head: Literal["centres", "sequence"] = "centres") -> Made:
    from memfold.tasks import ObjectDetector
    from tasks.detect.scenes import scenes, write_voc

    pictures = write_voc(folder / "scenes", scenes(8))
    model = ObjectDetector(size=72, head=head, channels=8, blocks=1, hidden_size=8, batch_size=4)
    valid = write_voc(folder / "valid", scenes(4, seed=1))
    return model.fit(pictures, budget="4ep", valid=valid, progress=False), str(pictures / "JPEGImages" / "000.png")


def transcriber(folder: Path) -> Made:
    from memfold.tasks.transcribe import SpeechRecognizer

    lines = []
    for k in range(12):
        tone(folder / f"{k}.wav", 300 + 100 * (k % 4), 0.6)
        lines.append(json.dumps({"audio": f"{k}.wav", "text": "ab" if k % 2 else "ba"}))
    (folder / "manifest.jsonl").write_text("\n".join(lines))
    model = SpeechRecognizer(rate=8000, bins=8, hidden_size=8, num_layers=1, beam=1)
    return model.fit(folder / "manifest.jsonl", budget="2ep", progress=False), str(folder / "0.wav")


MAKERS: dict[str, Callable[[Path], Made]] = {
    "anomaly": detector,
    "classify": image_classifier,
    "command": commander,
    "detect": object_detector,
    "faces": face_recognizer,
    "forecast": forecaster,
    "generate": generator,
    "sentiment": classifier,
    "transcribe": transcriber,
    "translate": translator,
}
PICTURED = ("classify", "detect", "faces")  # whose answers are shared out among places, not among steps
