"""A picture explained: what covering each part of it does, and the gates along one row and one column of it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import plotly.graph_objects as go
import torch
from torch import Tensor

from memfold.errors import InputError
from memfold.explain.explanation import Explanation, Picture, flow_of
from memfold.explain.trace import traced
from memfold.explain.words import Words
from memfold.page import INK, OTHERS, styled
from memfold.tasks.model import Task
from memfold.tasks.vision.covering import Occlusion, occlusion_map
from memfold.tasks.vision.lines import lines_apart
from memfold.tasks.vision.pictures import data_url, image_of
from memfold.tasks.vision.task import ImageTask

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
                _picture(pixels[0]),
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


def _picture(pixels: Tensor) -> go.Figure:
    """A picture (C, H, W) with the pixels' numbers at its sides."""
    image = go.Image(source=data_url(image_of(pixels.numpy())), hoverinfo="skip")
    figure = styled(go.Figure(image), "y", "x").update_layout(hovermode="closest")
    height, width = pixels.shape[1:]
    figure.update_xaxes(range=[-0.5, width - 0.5], constrain="domain", showgrid=False, zeroline=False)
    return figure.update_yaxes(range=[height - 0.5, -0.5], constrain="domain", showgrid=False, zeroline=False)


def _covered(pixels: Tensor, covers: Occlusion, words: Words) -> go.Figure:
    figure = _picture(pixels)
    middle = (covers.side - 1) / 2
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
