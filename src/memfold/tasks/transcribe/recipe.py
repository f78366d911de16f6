"""A recogniser of speech for other programs: samples in, log-probabilities of characters out; a causal one's steps."""

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memfold.data.features import LogMel
from memfold.runtime.hearing.level import FLOOR, FORGOTTEN, LEAST, WINDOW
from memfold.runtime.hearing.search import BLANK
from memfold.runtime.recipe import Part, Recipe
from memfold.tasks.speech.recipe import SOUND_AXES, front_of, hop_of, sound_of, sounds
from memfold.tasks.speech.sound_in import MelFrames, as_stored, inside, levelled_frames
from memfold.tasks.transcribe.network import AcousticNetwork

if TYPE_CHECKING:
    from memfold.tasks.transcribe.task import SpeechRecognizer

__all__ = ["recipe"]


class Acoustic(nn.Module):
    """The network from samples on."""

    def __init__(self, network: AcousticNetwork, features: LogMel) -> None:
        super().__init__()
        self.network = network
        self.mel = MelFrames(features, network.size.stacked)

    def forward(self, samples: Tensor, lengths: Tensor, least: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Log-probabilities ``(B, S, 1 + V)`` and the steps of each row ``(B,)``, after which they mean nothing.

        Args:
            samples: ``(B, N)``.
            lengths: samples of each row, ``(B,)``.
            least: of the level of the speech in each row, ``(B,)``; a causal network is given none.
        """
        frames, counts = self.mel(samples, lengths)
        front, stacked = self.network.front, self.network.size.stacked
        x = front.normalised(levelled_frames(as_stored(frames), counts, least))
        x = torch.where(inside(counts, x.shape[1])[..., None], x, 0.0)  # (B, T, M)
        # As `Stacked`, whose reshaping an exporter does not take where T is free.
        places = torch.arange(x.shape[1] // stacked)[:, None] * stacked + torch.arange(stacked)
        features, steps = x[:, places].flatten(2), front.steps(counts)  # (B, S, K*M)
        hidden, _ = self.network.lstm(features, lengths=steps)
        return self.network.head(hidden).log_softmax(-1), steps


class Writing(nn.Module):
    """A causal network at one step of K frames, as `memfold.runtime.hearing.live.Listener` goes."""

    def __init__(self, network: AcousticNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, frames: Tensor, count: Tensor, loud: Tensor, level: Tensor, h: Tensor, c: Tensor
    ) -> tuple[Tensor, ...]:
        """Log-probabilities ``(B, 1 + V)``, and the state.

        Args:
            frames: ``(B, K, M)``.
            count: how many of them there are, ``(B,)``: K, but fewer at the end of a recording.
            loud: of the nine frames before, how much louder they are than the quietest, ``(B, 9)``.
            level: how far the level so far is above its least, ``(B,)``.
            h, c: of the layers, ``(L, B, H)``.

        Returns:
            And after the step loud, level, h and c.
        """
        stacked = self.network.size.stacked
        heard = as_stored(frames).clamp(min=FLOOR)
        recent = torch.cat([loud, heard.exp().mean(2).log() - FLOOR], 1)  # (B, 9 + K)
        now = F.avg_pool1d(recent[:, None], WINDOW, 1)[:, 0] + (FLOOR - LEAST)  # (B, K)
        levels = []
        for k in range(stacked):
            level = torch.maximum(level - FORGOTTEN, now[:, k])
            levels.append(level)
        above = torch.stack(levels, 1).clamp(min=0) + LEAST
        x = self.network.front.normalised(heard - above[..., None])
        x = torch.where(inside(count, stacked)[..., None], x, 0.0)
        y, (h, c) = self.network.lstm(x.flatten(1)[:, None], (h, c))
        return self.network.head(y[:, 0]).log_softmax(-1), recent[:, -loud.shape[1] :], level, h, c


def recipe(task: "SpeechRecognizer") -> Recipe:
    """The network from samples on; the search is left to the caller."""
    features, network = task.features, task.network_
    second = features.rate

    def given(*lengths: int) -> dict[str, Any]:
        example = sounds(lengths)
        return example if task.causal else {**example, "least": torch.linspace(LEAST, LEAST + 5, len(lengths))}

    axes = SOUND_AXES if task.causal else {**SOUND_AXES, "least": {0: "batch"}}
    inputs, *others = given(second, second // 2, second // 3), given(0, 1, 2 * second, second), given(second // 4)
    whole = Part("model", Acoustic(network, features), inputs, axes, ("log_p", "steps"), others=others)
    stacked, search = network.size.stacked, task.weights
    around: dict[str, Any] = {
        "sound": sound_of(features),
        "characters": task.alphabet_.characters,
        "ctc": {
            "blank": BLANK,
            "beam": search.beam,
            "language": search.language,
            "bonus": search.bonus,
            "pause_seconds": task.pause,
        },
        "step_seconds": task.step_seconds,
    }
    left = ["resampling of the sound to the model's rate"]
    left.append(
        f"the search of {search.beam} prefixes and the segments that a pause of {task.pause:g} seconds ends: the "
        "likeliest labels, without repetitions and blanks, make a text too, not always the same"
    )
    if search.language:
        left.append("the model of characters that the search asks, with the texts that it counts")
    steps: list[Part] = []
    if task.causal:
        around["stream"] = hop_of(features, stacked)
        steps = [front_of(features, stacked), _step(network)]
    else:
        longest = task.recogniser.settings.most_seconds
        around["longest_seconds"] = longest
        around["least_level"] = LEAST
        left.append(f"the cuts at pauses of recordings above {longest:g} seconds")
    reason = "" if task.causal else "it reads recordings in both directions"
    return Recipe(task.name, [whole], around, steps=steps, no_steps=reason, left_out=left)


def _step(network: AcousticNetwork) -> Part:
    size = network.size
    generator = torch.Generator().manual_seed(0)

    def given(*counts: int) -> dict[str, Any]:
        batch = len(counts)
        state = torch.randn(2, size.num_layers, batch, size.hidden_size, generator=generator).tanh()
        return {
            "frames": 5 + 3 * torch.randn(batch, size.stacked, size.bins, generator=generator),
            "count": torch.tensor(counts),
            "loud": 5 * torch.rand(batch, WINDOW - 1, generator=generator),
            "level": 5 * torch.rand(batch, generator=generator),
            "h": state[0],
            "c": state[1],
        }

    rows = {name: {0: "batch"} for name in ("frames", "count", "loud", "level")}
    axes = {**rows, "h": {1: "batch"}, "c": {1: "batch"}}
    state = {f"{name}_next": name for name in ("loud", "level", "h", "c")}
    full = size.stacked
    return Part(
        "step", Writing(network), given(full, full, 1), axes, ("log_p", *state), state, [given(full), given(1, full)]
    )
