"""What a detector makes of a picture: its boxes, and what speaks for its likeliest centre or box."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import torch
from torch import Tensor

from memfold.drawing import SERIES, Box
from memfold.drawing import Picture as Drawn
from memfold.explain.explanation import Explanation
from memfold.tasks.detect import ObjectDetector
from memfold.tasks.detect.network import CELL, LENGTH, STRIDE, BoxDecoder, grid_of, padded
from memfold.tasks.vision.explained import check_picture, explained_picture, log_odds_of
from memfold.words import Words

__all__ = ["cell_apart", "view"]


def view(model: ObjectDetector, source: str, words: Words) -> Explanation:
    """A picture as a detector sees it, and what speaks for its likeliest centre or box."""
    check_picture(source)
    images = model.inputs(source)
    network = model.network_
    things = model.predict(images)
    pixels = torch.from_numpy(images.pixels[0])[None]
    with torch.no_grad():
        likeliest = (_likeliest_box if model.head == "sequence" else _likeliest_centre)(model, pixels, words)
    answer = ", ".join(f"{label} {sure:.2f}" for label, sure in things[["label", "score"]].rows()) or words("nothing")
    extent = padded(list(pixels), network.mean).shape[2:]
    scale = max(images.sizes[0]) / model.chosen.size
    score, what = likeliest.score, likeliest.what
    with likeliest.apart:
        explanation = explained_picture(
            model, source, answer, pixels, score, score, what, words, (extent[0], extent[1])
        )
    corners = (things[["x", "y", "width", "height"]] / scale).rows()
    texts = [f"{label} {sure:.2f}" for label, sure in things[["label", "score"]].rows()]
    boxes = [Box(left, top, wide, high, text) for (left, top, wide, high), text in zip(corners, texts, strict=True)]
    first, *others = explanation.pictures
    assert isinstance(first.drawing, Drawn)
    drawn = replace(first.drawing, boxes=[(f"{words('boxes')}: {len(boxes)}", SERIES[0], boxes, False)])
    return replace(explanation, pictures=[replace(first, drawing=drawn), *others])


@dataclass(frozen=True)
class _Likeliest:
    """What a detector is surest of in a picture.

    Attributes:
        score: its log-odds in pictures (N, C, H, W), (N,).
        what: the score is, in the report's language.
        apart: what to open while the network is traced.
    """

    score: Callable[[Tensor], Tensor]
    what: str
    apart: AbstractContextManager[None]


def _likeliest_centre(model: ObjectDetector, pixels: Tensor, words: Words) -> _Likeliest:
    network = model.network_

    def centres(pictures: Tensor) -> Tensor:
        logits: Tensor = network(padded(list(pictures), network.mean))[0]
        return logits  # (N, K, h, w)

    height, width = pixels.shape[2:]
    inside = centres(pixels)[0, :, : ceil(height / STRIDE), : ceil(width / STRIDE)]  # not in the picture's padding
    label, row, column = (int(k) for k in np.unravel_index(int(inside.argmax()), inside.shape))

    def score(pictures: Tensor) -> Tensor:
        return centres(pictures)[:, label, row, column]

    x, y = (int((cell + 0.5) * STRIDE) for cell in (column, row))
    return _Likeliest(score, words("score detect", label=model.classes_[label], x=x, y=y), nullcontext())


def _likeliest_box(model: ObjectDetector, pixels: Tensor, words: Words) -> _Likeliest:
    network, (height, width) = model.network_, pixels.shape[2:]
    whole = padded(list(pixels), network.mean)
    logits, offsets = network(whole)  # (C, L, K+1), (C, L, 4)
    number = torch.arange(len(logits))
    columns = grid_of(whole.shape[2], whole.shape[3])[1]
    corners = torch.stack([number % columns, number // columns], 1)[:, None]
    middles = (corners + 0.5 + offsets[..., :2]) * CELL  # (C, L, 2)
    inside = ((middles >= 0) & (middles < torch.tensor([width, height]))).all(2)
    chances = logits.softmax(2)[..., :-1] * inside[..., None]
    cell, step, label = (int(k) for k in np.unravel_index(int(chances.argmax()), chances.shape))

    def score(pictures: Tensor) -> Tensor:
        cells = network(padded(list(pictures), network.mean))[0].reshape(len(pictures), *logits.shape)
        return log_odds_of(cells[:, cell, step], label)

    x, y = (int(place) for place in middles[cell, step])
    what = words("score detect box", label=model.classes_[label], x=x, y=y, step=step + 1)
    return _Likeliest(score, what, cell_apart(network.decoder, cell))


@contextmanager
def cell_apart(decoder: BoxDecoder, cell: int) -> Iterator[None]:
    """While open, a decoder reads one cell of a single picture by a call of its own.

    As `memfold.tasks.vision.lines.lines_apart` has it of lines.

    Args:
        cell: by number, row after row.
    """

    def decode(cells: Tensor) -> Tensor:
        seen = cells.expand(LENGTH, -1, -1)  # (L, C, D)
        together = decoder.lstm.forward(seen)[0]
        alone = decoder.lstm(seen[:, cell : cell + 1])[0]
        return torch.cat([together[:, :cell], alone, together[:, cell + 1 :]], 1)

    vars(decoder)["decode"] = decode
    try:
        yield
    finally:
        del vars(decoder)["decode"]
