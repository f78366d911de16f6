"""Models that hear: what they heard when."""

from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import torch
from torch import Tensor

from memfold.data.audio import read_audio
from memfold.data.features import SHIFT
from memfold.errors import InputError
from memfold.explain.explanation import Explanation, Picture, Shares, flow_of, shares_of_inputs
from memfold.explain.trace import traced
from memfold.explain.words import Words
from memfold.page import INK, OTHERS, styled
from memfold.tasks.command import CommandRecognizer
from memfold.tasks.command.hearing import floored
from memfold.tasks.command.network import pooled
from memfold.tasks.command.spotting import log_ratios, smoothed
from memfold.tasks.transcribe import SpeechRecognizer

__all__ = ["command_view", "transcribe_view"]

MOST_SECONDS = 30  # of a recording that is explained
MOST_LINES = 8  # commands that are drawn, the likeliest ones


def transcribe_view(model: SpeechRecognizer, source: str, words: Words) -> Explanation:
    """A recording as a recogniser of speech hears it."""
    (frames,) = model.frames([source])
    network, seconds = model.network_, model.step_seconds
    _check_length(source, len(frames))
    x = network.front.normalised(torch.from_numpy(frames).float())[None]
    lengths = torch.tensor([x.shape[1]])

    def run() -> Tensor:
        log_p: Tensor = network(x, lengths)[0]
        return log_p[0].amax(-1).sum()

    with torch.no_grad():
        y = network(x, lengths)[0][0].exp().numpy()  # (S, 1 + V)
    times = [f"{seconds * step:.2f}" for step in range(len(y))]
    trace = traced(network, run, lambda _, steps: times[:steps])
    heard = [0, *(1 + np.flatnonzero(y[:, 1:].max(0) > 0.1))]  # the characters that were ever near
    names = [words("blank") if k == 0 else repr(model.alphabet_.characters[k - 1]) for k in heard]
    at = [seconds * step for step in range(len(y))]
    figure = go.Figure(go.Heatmap(x=at, y=names, z=y[:, heard].T.tolist(), colorscale="Blues", zmin=0, zmax=1))
    styled(figure, words("character"), words("seconds"))
    figure.update_layout(height=max(320, 22 * len(names) + 120), hovermode="closest")
    return Explanation(
        model.name,
        source,
        model.predict([source])[0],
        trace,
        next(iter(trace.layers)),
        None,
        [Picture(words("posteriors"), words("posteriors text"), figure)],
        Shares(words("score transcribe"), times, shares_of_inputs([network.lstm], run)),
        flow_of(network, run),
    )


def command_view(model: CommandRecognizer, source: str, words: Words) -> Explanation:
    """A recording as a recogniser of commands hears it."""
    samples = read_audio(Path(source), model.rate)
    network, seconds = model.network_, model.network_.stride * SHIFT
    frames = floored(model.features.of(samples))
    if not len(frames):
        raise InputError(f"{source}: is shorter than a frame")
    _check_length(source, len(frames))
    x, lengths = torch.from_numpy(frames)[None], torch.tensor([len(frames)])
    with torch.no_grad():
        logits = network(x, lengths)[0]  # (1, T', K + 1)
    inside = torch.ones(logits.shape[:2], dtype=torch.bool)
    command = int(pooled(logits, inside)[0].argmax())

    def run() -> Tensor:
        return pooled(network(x, lengths)[0], inside)[0, command]

    times = [f"{seconds * step:.2f}" for step in range(logits.shape[1])]
    trace = traced(network, run, lambda _, steps: times[:steps])
    window = max(1, round(model.window / seconds))
    scores = smoothed(log_ratios(logits[0].numpy()), window)  # (T', K)
    events = [
        words("heard", command=model.commands_[event.command], time=f"{event.step * seconds:.2f}")
        for event in model.detect(samples)
    ]
    figure, label = _scores(model, scores, seconds, words), model.commands_[command]
    return Explanation(
        model.name,
        source,
        "; ".join(events) or words("nothing"),
        trace,
        next(iter(trace.layers)),
        None,
        [Picture(words("commands"), words("commands text", window=model.window), figure)],
        Shares(words("score command", label=label), times, shares_of_inputs([network.lstm], run)),
        flow_of(network, run),
    )


def _scores(model: CommandRecognizer, scores: np.ndarray, seconds: float, words: Words) -> go.Figure:
    figure = go.Figure()
    at = [seconds * step for step in range(len(scores))]
    colours = (INK, *OTHERS)
    for place, command in enumerate(np.argsort(-scores.max(0), kind="stable")[:MOST_LINES].tolist()):
        line = {"color": colours[place % len(colours)], "width": 2 if place == 0 else 1}
        figure.add_scatter(x=at, y=scores[:, command].tolist(), name=model.commands_[command], line=line)
    figure.add_hline(y=model.threshold_, line_dash="dot", annotation_text=words("threshold"))
    return styled(figure, words("log ratio"), words("seconds"))


def _check_length(source: str, frames: int) -> None:
    if frames * SHIFT > MOST_SECONDS:
        raise InputError(f"{source}: lasts {frames * SHIFT:.0f} s; {MOST_SECONDS} s are the most that a report shows")
