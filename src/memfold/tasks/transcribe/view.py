"""What a recogniser of speech makes of a recording: which characters it heard when."""

import numpy as np
import torch
from torch import Tensor

from memfold.drawing import Chart
from memfold.errors import InputError
from memfold.explain.explanation import Explanation, Picture
from memfold.runtime.hearing.alignment import words_in_time
from memfold.runtime.hearing.level import levelled
from memfold.tasks.speech.explained import check_explainable, explained_sound
from memfold.tasks.transcribe import SpeechRecognizer
from memfold.tasks.transcribe.timeline import MOST_WORDS, timeline
from memfold.words import Words

__all__ = ["view"]


def view(model: SpeechRecognizer, source: str, words: Words) -> Explanation:
    """A recording as a recogniser of speech hears it."""
    heard = model.inputs([source])
    if len(heard) != 1:
        raise InputError(f"{source}: holds {len(heard)} recordings; one is shown")
    (frames,) = heard.frames
    network, seconds = model.network_, model.step_seconds
    check_explainable(source, len(frames))
    x = network.front.normalised(torch.from_numpy(levelled(frames, network.causal)))[None]
    lengths = torch.tensor([x.shape[1]])

    def run() -> Tensor:
        log_p: Tensor = network(x, lengths)[0]
        return log_p[0].amax(-1).sum()

    with torch.no_grad():
        y = network(x, lengths)[0][0].exp().numpy()  # (S, 1 + V)
    times = [f"{seconds * step:.2f}" for step in range(len(y))]
    near = [0, *(1 + np.flatnonzero(y[:, 1:].max(0) > 0.1))]  # the characters that were ever near
    names = [words("blank") if k == 0 else repr(model.alphabet_.characters[k - 1]) for k in near]
    chart = Chart(words("character"), words("seconds"), rows=names, height=max(200, 20 * len(names)))
    chart.cells(seconds * np.arange(len(y)), y[:, near].T, words("posteriors"), seconds)
    picture = Picture(words("posteriors"), words("posteriors text"), chart)
    written = model.answer(heard)
    pictures = [picture]
    if spoken := words_in_time(written.texts[0], model.alphabet_, written.log_p[0]):
        text = words("words in time text", step=1000 * seconds)
        text = (
            words.joined(text, words("words cut", shown=MOST_WORDS, all=len(spoken)))
            if len(spoken) > MOST_WORDS
            else text
        )
        drawn = timeline(spoken, seconds, seconds * len(y), words)
        pictures.insert(0, Picture(words("words in time"), text, drawn))
    return explained_sound(model, source, written.texts[0], run, times, pictures, words("score transcribe"))
