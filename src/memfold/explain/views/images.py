"""Models that look at pictures: what covering a part of one does, and the gates along a row and a column of it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from memfold.data.boxes import unboxed
from memfold.errors import InputError
from memfold.explain.explanation import Explanation, Picture, flow_of
from memfold.explain.trace import traced
from memfold.explain.words import Words
from memfold.nn import BiLSTM2D
from memfold.page import INK, OTHERS, styled
from memfold.tasks.base import Task
from memfold.tasks.classify import ImageClassifier
from memfold.tasks.detect import ObjectDetector
from memfold.tasks.detect.network import CELL, LENGTH, STRIDE, BoxDecoder, grid_of, padded
from memfold.tasks.detect.pictures import read_pictures
from memfold.tasks.faces import FaceRecognizer
from memfold.tasks.faces.network import embeddings_of
from memfold.tasks.vision.pictures import data_url, image_of
from memfold.tasks.vision.task import ImageTask

__all__ = ["Occlusion", "cell_apart", "classify_view", "detect_view", "faces_view", "lines_apart", "occlusion_map"]

PATCHES = 5  # that cover the shorter side; from one to the next is a third of a patch
AT_ONCE = 32  # covered pictures


def classify_view(model: ImageClassifier, source: str, words: Words) -> Explanation:
    """A picture as a classifier sees it."""
    pixels, network = _read(model, source), model.network_
    (probabilities,) = model.probabilities(pixels.numpy())
    best = int(probabilities.argmax())
    label = model.classes_[best]

    def score(pictures: Tensor) -> Tensor:
        return _log_odds(network(network.backbone.normaliser(pictures)), best)

    answer = f"{label}, {probabilities[best]:.3f}"
    return _explained(model, source, answer, pixels, score, score, words("score classify", label=label), words)


def faces_view(model: FaceRecognizer, source: str, words: Words) -> Explanation:
    """A picture as a recogniser of faces sees it; the gates are those of the picture, not of its mirror image."""
    pixels, network = _read(model, source), model.network_
    similarities = embeddings_of(network, pixels)[0] @ network.gallery.T
    best = int(similarities.argmax())
    similarity, person = similarities[best].item(), model.enrolled_[best]

    def score(pictures: Tensor) -> Tensor:
        return embeddings_of(network, pictures) @ network.gallery[best]

    def alone(pictures: Tensor) -> Tensor:
        similar: Tensor = network(network.backbone.normaliser(pictures)) @ network.gallery[best]
        return similar

    answer = words("known" if similarity >= model.threshold_ else "unknown", person=person, share=f"{similarity:.3f}")
    return _explained(model, source, answer, pixels, score, alone, words("score faces", person=person), words)


def detect_view(model: ObjectDetector, source: str, words: Words) -> Explanation:
    """A picture as a detector sees it, and what speaks for its likeliest centre or box."""
    _check_file(source)
    (picture,) = read_pictures(unboxed([Path(source)]), model.classes_, model.size)
    network, found = model.network_, model.predict([source])
    pixels = picture.pixels[None]
    with torch.no_grad():
        likeliest = (_likeliest_box if model.head == "sequence" else _likeliest_centre)(model, pixels, words)
    answer = ", ".join(f"{own} {sure:.2f}" for own, sure in found[["label", "score"]].rows()) or words("nothing")
    extent = padded([picture.pixels], network.mean).shape[2:]
    score, what = likeliest.score, likeliest.what
    with likeliest.apart:
        explanation = _explained(model, source, answer, pixels, score, score, what, words, (extent[0], extent[1]))
    for left, top, wide, high in (found[["x", "y", "width", "height"]] / picture.scale).rows():
        corners = {"x0": left - 0.5, "y0": top - 0.5, "x1": left + wide - 0.5, "y1": top + high - 0.5}
        explanation.pictures[0].figure.add_shape(type="rect", **corners, line_color=INK)
    return explanation


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
    logits, told = network(whole)  # (C, L, K+1), (C, L, 4)
    number, columns = torch.arange(len(logits)), grid_of(whole.shape[2], whole.shape[3])[1]
    corners = torch.stack([number % columns, number // columns], 1)[:, None]
    middles = (corners + 0.5 + told[..., :2]) * CELL  # (C, L, 2)
    inside = ((middles >= 0) & (middles < torch.tensor([width, height]))).all(2)
    chances = logits.softmax(2)[..., :-1] * inside[..., None]
    cell, step, label = (int(k) for k in np.unravel_index(int(chances.argmax()), chances.shape))

    def score(pictures: Tensor) -> Tensor:
        cells = network(padded(list(pictures), network.mean))[0].reshape(len(pictures), *logits.shape)
        return _log_odds(cells[:, cell, step], label)

    x, y = (int(place) for place in middles[cell, step])
    what = words("score detect box", label=model.classes_[label], x=x, y=y, step=step + 1)
    return _Likeliest(score, what, cell_apart(network.decoder, cell))


def _log_odds(logits: Tensor, best: int) -> Tensor:
    """Of one class against all others, (N,) of (N, K)."""
    others = torch.cat([logits[:, :best], logits[:, best + 1 :]], 1)
    log_odds: Tensor = logits[:, best] - others.logsumexp(1)
    return log_odds


def _read(model: ImageTask, source: str) -> Tensor:
    """One picture of bytes, (1, C, S, S)."""
    _check_file(source)
    return torch.from_numpy(model.read_unlabelled([source])[1])


def _check_file(source: str) -> None:
    if not Path(source).is_file():
        raise InputError(f"{source}: {'is a folder; give one picture' if Path(source).is_dir() else 'no such file'}")


def _explained(
    model: Task,
    source: str,
    answer: str,
    pixels: Tensor,
    score: Callable[[Tensor], Tensor],
    passed: Callable[[Tensor], Tensor],
    what: str,
    words: Words,
    extent: tuple[int, int] | None = None,
) -> Explanation:
    """The explanation of a picture.

    Args:
        pixels: (1, C, H, W).
        score: of pictures (N, C, H, W), (N,).
        passed: the same, or what is nearest to it in a single call of the network.
        what: the score is, in the report's language.
        extent: height and width that the network reads, where the picture is padded at the right and below.
    """
    covers = occlusion_map(score, pixels)
    height, width = extent or tuple(pixels.shape[2:])
    row, column = covers.most_telling
    network = model.network_

    def run() -> Tensor:
        return passed(pixels)[0]

    def labels(path: str, steps: int) -> Sequence[str]:
        if path.startswith("decoder"):
            return [words("box of cell", step=step + 1) for step in range(steps)]
        name, length = ("x", width) if path.endswith("rows") else ("y", height)
        return [f"{name} {int((step + 0.5) * length / steps)}" for step in range(steps)]

    with lines_apart(network, row / height, column / width):
        trace, flow = traced(network, run, labels), flow_of(network, run)
    text = f"{what} {words('covered text', side=covers.side, row=row, column=column)}"
    return Explanation(
        model.name,
        source,
        answer,
        trace,
        next(name for name in reversed(trace.layers) if name.endswith("rows.l0")),
        None,
        [
            Picture(
                words("picture"),
                words("picture text", height=pixels.shape[2], width=pixels.shape[3]),
                _picture(pixels[0]),
            ),
            Picture(words("covered"), text, _covered(pixels[0], covers, words)),
        ],
        flow=flow,
    )


# -- occlusion -----------------------------------------------------------------------------------------------


class Occlusion:
    """What covering each patch of a picture does.

    Attributes:
        side: of a patch, in pixels.
        rows, columns: where patches begin, (R,) and (C,).
        losses: what the score loses under each, (R, C).
    """

    def __init__(self, side: int, rows: list[int], columns: list[int], losses: NDArray[np.float32]) -> None:
        self.side, self.rows, self.columns, self.losses = side, rows, columns, losses

    @property
    def most_telling(self) -> tuple[int, int]:
        """The middle of the patch whose cover costs most, in pixels from above and from the left."""
        row, column = divmod(int(self.losses.argmax()), len(self.columns))
        return self.rows[row] + self.side // 2, self.columns[column] + self.side // 2


@torch.no_grad()
def occlusion_map(score: Callable[[Tensor], Tensor], pixels: Tensor) -> Occlusion:
    """What a score loses when patches of a picture get its mean colour (Zeiler & Fergus 2014, sec. 4.2).

    Args:
        score: of pictures (N, C, H, W), (N,).
        pixels: (1, C, H, W).
    """
    height, width = pixels.shape[2:]
    side = max(1, round(min(height, width) / PATCHES))
    rows, columns = _begins(height, side), _begins(width, side)
    mean = pixels.float().mean((0, 2, 3))
    colour = (mean if pixels.is_floating_point() else mean.round()).to(pixels.dtype)[:, None, None]
    places, scores = [(row, column) for row in rows for column in columns], []
    for start in range(0, len(places), AT_ONCE):
        block = places[start : start + AT_ONCE]
        covered = pixels.repeat(len(block), 1, 1, 1)
        for picture, (row, column) in zip(covered, block, strict=True):
            picture[:, row : row + side, column : column + side] = colour
        scores.append(score(covered))
    losses = (score(pixels) - torch.cat(scores)).reshape(len(rows), len(columns))
    return Occlusion(side, rows, columns, losses.numpy())


def _begins(extent: int, side: int) -> list[int]:
    """Of patches from one end to the other, a third of a side apart or a little less."""
    count = ceil((extent - side) / max(1, side // 3)) + 1
    return [round(begin) for begin in np.linspace(0, extent - side, count).tolist()]


# -- one row and one column ----------------------------------------------------------------------------------


@contextmanager
def lines_apart(network: nn.Module, row: float, column: float) -> Iterator[None]:
    """While open, every `BiLSTM2D` reads one row and one column by calls of their own, and the others beside them.

    What the network returns for one picture is the same. The calls of the layers' hooks are those of that row and that
    column alone, so that they can be traced and replayed.

    Args:
        row, column: in shares of the height and the width, from 0 to below 1.
    """
    layers = [module for module in network.modules() if isinstance(module, BiLSTM2D)]
    for layer in layers:

        def forward(x: Tensor, layer: BiLSTM2D = layer) -> Tensor:
            (image,) = x  # (H, W, C)
            r, c = int(row * len(image)), int(column * image.shape[1])
            down, across = layer.columns.forward(image)[0], layer.rows.forward(image)[0]  # without hooks, (H, W, 2h)
            own_column, own_row = layer.columns(image[:, c : c + 1])[0], layer.rows(image[r : r + 1])[0]
            down = torch.cat([down[:, :c], own_column, down[:, c + 1 :]], 1)
            across = torch.cat([across[:r], own_row, across[r + 1 :]])
            y: Tensor = layer.projection(torch.cat([down, across], -1))
            return y[None]

        vars(layer)["forward"] = forward
    try:
        yield
    finally:
        for layer in layers:
            del vars(layer)["forward"]


@contextmanager
def cell_apart(decoder: BoxDecoder, cell: int) -> Iterator[None]:
    """While open, a decoder reads one cell of a single picture by a call of its own, as `lines_apart` has it of lines.

    Args:
        cell: by number, row after row.
    """

    def decode(cells: Tensor) -> Tensor:
        seen = cells.expand(LENGTH, -1, -1)  # (L, C, D)
        told, own = decoder.lstm.forward(seen)[0], decoder.lstm(seen[:, cell : cell + 1])[0]
        return torch.cat([told[:, :cell], own, told[:, cell + 1 :]], 1)

    vars(decoder)["decode"] = decode
    try:
        yield
    finally:
        del vars(decoder)["decode"]


# -- figures -------------------------------------------------------------------------------------------------


def _picture(pixels: Tensor) -> go.Figure:
    """A picture (C, H, W) with the pixels' numbers at its sides."""
    image = go.Image(source=data_url(image_of(pixels.numpy())), hoverinfo="skip")
    figure = styled(go.Figure(image), "y", "x").update_layout(hovermode="closest")
    height, width = pixels.shape[1:]
    figure.update_xaxes(range=[-0.5, width - 0.5], constrain="domain", showgrid=False, zeroline=False)
    return figure.update_yaxes(range=[height - 0.5, -0.5], constrain="domain", showgrid=False, zeroline=False)


def _covered(pixels: Tensor, covers: Occlusion, words: Words) -> go.Figure:
    figure, middle = _picture(pixels), (covers.side - 1) / 2
    heat = go.Heatmap(
        x=[begin + middle for begin in covers.columns],
        y=[begin + middle for begin in covers.rows],
        z=covers.losses.tolist(),
        colorscale=[[0, OTHERS[0]], [0.5, "rgba(255,255,255,0)"], [1, INK]],
        zmid=0,
        opacity=0.75,
        colorbar={"title": words("lost"), "thickness": 12},
        hovertemplate="x %{x}, y %{y}: %{z:.3g}<extra></extra>",
    )
    figure.add_trace(heat)
    row, column = covers.most_telling
    figure.add_hline(y=row, line_dash="dot")
    return figure.add_vline(x=column, line_dash="dot")
