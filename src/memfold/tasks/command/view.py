"""What a recogniser of commands makes of a recording: how likely each command was when."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from memfold.data.audio import read_sound
from memfold.data.sound_notes import SoundNotes
from memfold.drawing import Chart
from memfold.errors import InputError
from memfold.explain.explanation import Explanation, Picture
from memfold.runtime.hearing.level import floored
from memfold.runtime.hearing.spotting import log_ratios, smoothed
from memfold.tasks.command import CommandRecognizer
from memfold.tasks.command.network import pooled
from memfold.tasks.speech.explained import check_explainable, explained_sound
from memfold.words import Words

__all__ = ["view"]

MOST_LINES = 8  # commands that are drawn, the likeliest ones


def view(model: CommandRecognizer, source: str, words: Words) -> Explanation:
    """A recording as a recogniser of commands hears it."""
    sound = read_sound(Path(source), model.sound_rate, channel=model.channel)
    notes = SoundNotes(model.sound_rate)
    notes.add(source, sound)
    notes.say()
    samples = sound.samples
    network, seconds = model.network_, model.step_seconds
    frames = floored(model.features.of(samples))
    if not len(frames):
        raise InputError(f"{source}: is shorter than a frame")
    check_explainable(source, len(frames))
    x = torch.from_numpy(frames)[None]
    lengths = torch.tensor([len(frames)])
    with torch.no_grad():
        logits = network(x, lengths)[0]  # (1, T', K + 1)
    inside = torch.ones(logits.shape[:2], dtype=torch.bool)
    command = int(pooled(logits, inside)[0].argmax())

    def run() -> Tensor:
        return pooled(network(x, lengths)[0], inside)[0, command]

    times = [f"{seconds * step:.2f}" for step in range(logits.shape[1])]
    scores = smoothed(log_ratios(logits[0].numpy()), model.spotting.window)  # (T', K)
    events = [
        words("heard", command=model.commands_[event.command], time=f"{event.step * seconds:.2f}")
        for event in model.detect(samples)
    ]
    chart = _scores(model, scores, seconds, words)
    label = model.commands_[command]
    picture = Picture(words("commands"), words("commands text", window=model.window), chart)
    with torch.no_grad():
        sure = float(run().exp())
    answer = f"{'; '.join(events) or words('nothing')} ({words('whole command', label=label, sure=f'{sure:.3f}')})"
    score = words("score command", label=label)
    return explained_sound(model, source, answer, run, times, [picture], score)


def _scores(model: CommandRecognizer, scores: np.ndarray, seconds: float, words: Words) -> Chart:
    at = seconds * np.arange(len(scores))
    chart = Chart(words("log ratio"), words("seconds"))
    for command in np.argsort(-scores.max(0), kind="stable")[:MOST_LINES].tolist():
        chart.line(at, scores[:, command], model.commands_[command])
    return chart.level(model.threshold_, words("threshold"))
