"""One offline HTML page about a detector: its boxes in some images, and its precision at every recall."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from memfold.data.boxes import BoxedImages
from memfold.data.pictures import UNREADABLE, deep_of, opened, upright
from memfold.drawing import Box, Chart, Look, Picture
from memfold.page import Section, page_text, write_page
from memfold.tasks.contest import Contest
from memfold.tasks.detect.scores import Boxes, Precision, right
from memfold.tasks.page import learning_curve, plan_table, report_scores
from memfold.tasks.report import Report
from memfold.tasks.vision.pictures import data_url, image_of
from memfold.trained import Result
from memfold.words import Words

__all__ = ["write_report"]

SHOWN_IMAGES = 3  # images of the worst, and as many in the middle
WIDEST = 760  # pixels of an image on the page, which shows it no wider
RIGHT, MISSED = Look("plus", "", 2.5), Look("minus", "3 4", 2.5)
WRONG, TRUE = Look("focus", "10 3", 2.5), Look("ink", "1 3", 1.5)


class Detecting(Protocol):
    """What the page says of a detector."""

    @property
    def classes_(self) -> Sequence[str]: ...
    @property
    def thresholds_(self) -> Sequence[float]: ...
    @property
    def training_(self) -> Result: ...
    @property
    def contest_(self) -> Contest | None: ...
    @property
    def parameter_count(self) -> int: ...


def write_report(
    path: Path,
    model: Detecting,
    report: Report,
    precision: Precision,
    images: BoxedImages,
    truth: Sequence[Boxes],
    predicted: Sequence[Boxes],
    words: Words,
) -> Path:
    """Write the page; returns the path.

    Args:
        truth, predicted: the true boxes of every image, and those from its class's threshold on.
    """
    answers = [right(*pair) for pair in zip(truth, predicted, strict=True)]
    sections: list[Section] = []
    for kind, rows in _chosen(truth, predicted, answers).items():
        for row in rows:
            hits = int((answers[row] >= 0).sum())
            missed = len(truth[row].labels) - hits
            wrong = len(predicted[row].labels) - hits
            image = images.paths[row]
            picture = _picture(
                _embedded(images, row),
                images.sizes[row],
                truth[row],
                predicted[row],
                answers[row],
                model.classes_,
                image.name,
                words,
            )
            text = words.joined(words("image text", hits=hits, missed=missed, wrong=wrong), words("tap a name"))
            sections.append((words(f"image {kind}", name=image.name), text, picture))
    heading, text = words("precision and recall"), words("precision and recall text")
    sections.append((heading, text, _curves(precision, model.classes_, words)))
    sections += learning_curve(model.training_, model.contest_, words)
    thresholds = ", ".join(f"{t:.2f} ({c})" for c, t in zip(model.classes_, model.thresholds_, strict=True))
    footer = words("footer detect", count=model.parameter_count, model=repr(model), thresholds=thresholds)
    title = words("boxes in", data=report.data or images.name or words("images"))
    tables = [report_scores(report, words), plan_table(report, words)]
    return write_page(path, page_text(title, tables, sections, footer, language=words.language))


def _chosen(
    truth: Sequence[Boxes], predicted: Sequence[Boxes], answers: Sequence[NDArray[np.int64]]
) -> dict[str, list[int]]:
    """The images with the lowest F1, and those in the middle."""
    sums = np.array([len(true.labels) + len(boxes.labels) for true, boxes in zip(truth, predicted, strict=True)])
    hits = np.array([(matches >= 0).sum() for matches in answers])
    order = np.argsort(np.where(sums > 0, 2 * hits / np.maximum(sums, 1), 1.0), kind="stable").tolist()
    rest = order[SHOWN_IMAGES:]
    begin = max(0, len(rest) // 2 - SHOWN_IMAGES // 2)
    return {"worst": order[:SHOWN_IMAGES], "typical": rest[begin : begin + SHOWN_IMAGES]}


def _picture(
    source: str,
    size: tuple[int, int],
    truth: Boxes,
    predicted: Boxes,
    answers: NDArray[np.int64],
    classes: Sequence[str],
    name: str,
    words: Words,
) -> Picture:
    """The image, as a URL, with the boxes that were found, missed and wrong."""
    hit = answers >= 0
    missed = np.setdiff1d(np.arange(len(truth.labels)), answers)
    names = [f"{classes[label]} {score:.2f}" for label, score in zip(predicted.labels, predicted.scores, strict=True)]
    true_names = [classes[label] for label in truth.labels]
    kinds = (
        ("found", RIGHT, _boxes(predicted.boxes[hit], [names[row] for row in np.flatnonzero(hit)]), False),
        ("missed", MISSED, _boxes(truth.boxes[missed], [true_names[row] for row in missed]), False),
        ("wrong", WRONG, _boxes(predicted.boxes[~hit], [names[row] for row in np.flatnonzero(~hit)]), False),
        ("true", TRUE, _boxes(truth.boxes, true_names), True),
    )
    boxes = [(words(f"boxes {kind}", count=len(its)), look, its, hidden) for kind, look, its, hidden in kinds]
    return Picture(source, size, boxes, said=name)


def _boxes(boxes: NDArray[np.float32], texts: Sequence[str]) -> list[Box]:
    return [
        Box(left, top, width, height, text)
        for (left, top, width, height), text in zip(boxes.tolist(), texts, strict=True)
    ]


def _embedded(images: BoxedImages, row: int) -> str:
    """An image as a URL that holds it: of a file of bytes as a viewer shows it, else as the network sees it."""
    try:
        with opened(images.paths[row]) as image:
            if deep_of(image) is None:
                whole = upright(image).convert("RGB")
                whole.thumbnail((WIDEST, WIDEST))
                return data_url(whole, "JPEG")
    except UNREADABLE:  # given as an array, or gone since it was read
        pass
    return data_url(image_of(images.pixels[row]), "JPEG")


def _curves(precision: Precision, classes: Iterable[str], words: Words) -> Chart:
    chart = Chart(words("precision"), words("recall"))
    for k, label in enumerate(classes):
        if not np.isnan(precision.by_class50[k]):
            x = np.linspace(0, 1, precision.curves.shape[1])
            chart.line(x, precision.curves[k], f"{label}: {precision.by_class50[k]:.3f}")
    return chart
