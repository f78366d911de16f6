"""A picture explained: what covering each part of it does, and the gates along one row and one column of it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from memfold.drawing import Picture as Drawn
from memfold.errors import InputError
from memfold.explain.explanation import Explanation, Picture, flow_of
from memfold.explain.trace import traced
from memfold.tasks.model import Task
from memfold.tasks.vision.covering import Occlusion, occlusion_map
from memfold.tasks.vision.lines import lines_apart
from memfold.tasks.vision.pictures import data_url, image_of
from memfold.tasks.vision.task import ImageTask
from memfold.words import Words

__all__ = ["check_picture", "explained_picture", "log_odds_of", "one_picture"]


def explained_picture(
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
        trace = traced(network, run, labels)
        flow = flow_of(network, run)
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
                _picture(pixels[0], words),
            ),
            Picture(words("covered"), text, _covered(pixels[0], covers, words)),
        ],
        flow=flow,
    )


def log_odds_of(logits: Tensor, best: int) -> Tensor:
    """Of one class against all others, (N,) of (N, K)."""
    others = torch.cat([logits[:, :best], logits[:, best + 1 :]], 1)
    log_odds: Tensor = logits[:, best] - others.logsumexp(1)
    return log_odds


def one_picture(model: ImageTask, source: str) -> Tensor:
    """The one picture of a file, in bytes, (1, C, S, S).

    Raises:
        InputError: there is no such file, it is a folder, or it is no picture.
    """
    check_picture(source)
    return torch.from_numpy(model.inputs([source]).pixels)


def check_picture(source: str) -> None:
    """Refuse what is not one file.

    Raises:
        InputError: there is no such file, or it is a folder.
    """
    if not Path(source).is_file():
        raise InputError(f"{source}: {'is a folder; give one picture' if Path(source).is_dir() else 'no such file'}")


def _picture(pixels: Tensor, words: Words) -> Drawn:
    """A picture (C, H, W)."""
    height, width = pixels.shape[1:]
    url = data_url(image_of(pixels.numpy()))
    return Drawn(url, (width, height), said=words("picture text", height=height, width=width), pixelated=True)


def _covered(pixels: Tensor, covers: Occlusion, words: Words) -> Drawn:
    """The picture, with what covering each place takes from the score, as a share of the most, and the lines read."""
    most = float(np.abs(covers.losses).max()) or 1.0
    wide, tall = _apart(covers.columns, covers.side), _apart(covers.rows, covers.side)
    middle = covers.side / 2
    over = [
        (x + middle - wide / 2, y + middle - tall / 2, wide, tall, float(loss) / most)
        for y, losses in zip(covers.rows, covers.losses, strict=True)
        for x, loss in zip(covers.columns, losses, strict=True)
    ]
    row, column = covers.most_telling
    return replace(_picture(pixels, words), over=over, rules=(row + 0.5, column + 0.5), said=words("covered"))


def _apart(places: Sequence[int], side: int) -> float:
    """From one cover to the next."""
    return float(places[1] - places[0]) if len(places) > 1 else float(side)
