"""A recogniser of commands for other programs: samples in, probabilities out, and its network step by step."""

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memfold.runtime.hearing.inference import WARPS
from memfold.runtime.hearing.level import FLOOR
from memfold.runtime.hearing.live import KERNEL, STRIDE
from memfold.runtime.hearing.warp import warp_matrix
from memfold.runtime.recipe import Part, Recipe
from memfold.tasks.command.network import CommandNetwork, pooled
from memfold.tasks.speech.front import thinned
from memfold.tasks.speech.recipe import SOUND_AXES, front_of, hop_of, sound_of, sounds
from memfold.tasks.speech.sound_in import CepstralStatistics, MelFrames, as_stored, inside

if TYPE_CHECKING:
    from memfold.tasks.command.task import CommandRecognizer

__all__ = ["recipe"]

NOISE_SECONDS = 8  # of the noise beside the cepstra that the file holds
FIRST, LATER = KERNEL - 1, KERNEL - 2  # inputs that a convolution keeps


class Recognised(nn.Module):
    """The whole model: probabilities of whole recordings."""

    warps: Tensor  # (W, 1, M, M)

    def __init__(self, task: "CommandRecognizer") -> None:
        super().__init__()
        self.network: CommandNetwork = task.network_
        self.blend, self.other = task.blend_, task.other_
        self.mel = MelFrames(task.features, self.network.stride)
        warps = torch.stack([torch.from_numpy(warp_matrix(task.bins, factor)) for factor in WARPS])
        self.register_buffer("warps", warps[:, None])
        self.cepstral = None
        if self.blend.share < 1:
            self.cepstral = CepstralStatistics(task.sound_rate, NOISE_SECONDS)

    def forward(self, samples: Tensor, lengths: Tensor) -> Tensor:
        """Of samples ``(B, N)`` and the lengths of their rows ``(B,)``, the probability of every class ``(B, C)``; all
        0 of a row that is shorter than a frame."""
        frames, counts = self.mel(samples, lengths)
        log_p, none = self._heard(as_stored(frames.clamp(min=FLOOR)), counts)
        if self.cepstral is not None:
            baseline = self.network.baseline
            standardised = (self.cepstral(samples, lengths, self.mel) - baseline.mean) * baseline.scale
            others = (standardised @ baseline.weight.T + baseline.bias).log_softmax(-1)
            log_p = self.blend.share * log_p + (1 - self.blend.share) * others
        p = (log_p / self.blend.temperature).softmax(-1)
        if self.other:
            p = torch.cat([p * (1 - none)[:, None], none[:, None]], 1)
        return torch.where(counts[:, None] > 0, p, 0.0)

    def _heard(self, frames: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the commands ``(B, K)`` and the probability of none ``(B,)``, over several voices."""
        voices = (frames @ self.warps).flatten(0, 1)  # (W*B, T, M)
        logits, steps = self.network(voices, counts.repeat(len(WARPS)))
        counted = inside(steps, logits.shape[1])
        none = logits.log_softmax(-1)[..., -1].masked_fill(~counted, 0.0).amin(1).exp()
        log_p = pooled(logits, counted)  # (W*B, K)
        log_p, none = (each.reshape(len(WARPS), -1, *each.shape[1:]).mean(0) for each in (log_p, none))
        return log_p.log_softmax(-1), none


class Listening(nn.Module):
    """The network at one step of R frames, as `memfold.runtime.hearing.live.Listener` goes.

    Convolutions look at two inputs to either side, so that their outputs lag behind: at every step all of them give
    those of R frames, from one before the step's first on, and the logits are of the step before. Each keeps the inputs
    that its next outputs look at: the first convolution four frames, the others three inputs.
    """

    def __init__(self, network: CommandNetwork) -> None:
        super().__init__()
        self.network = network
        self.convolutions = [layer for layer in network.front.convolutions if isinstance(layer, nn.Conv1d)]
        size = network.size
        self.kept = [(FIRST, size.bins)] + [(LATER, size.channels)] * (size.convolutions - 1)

    def forward(
        self, frames: Tensor, count: Tensor, seen: Tensor, h: Tensor, c: Tensor, held: Tensor
    ) -> tuple[Tensor, ...]:
        """Logits of the step before, and the state.

        Args:
            frames: ``(B, R, M)``.
            count: how many of them there are, ``(B,)``: R; fewer at the end of a recording, and then 0 once more.
            seen: frames before, ``(B,)``.
            h, c: of the layers, ``(L, B, H)``.
            held: inputs that the convolutions keep, one after another, ``(B, ·)``.

        Returns:
            Logits ``(B, K + 1)``; whether they count ``(B,)``, which those of the first call and of calls after the end
            do not; seen, h, c and held after the step.
        """
        front, stride = self.network.front, self.network.stride
        total, step = seen + count, (seen + stride - 1) // stride
        x = front.normalised(frames.clamp(min=FLOOR))
        x = torch.where(inside(count, stride)[..., None], x, 0.0)  # (B, R, M)
        after, begin = [], 0
        for k, ((rows, width), convolution) in enumerate(zip(self.kept, self.convolutions, strict=True)):
            x = torch.cat([held[:, begin : begin + rows * width].reshape(-1, rows, width), x], 1)
            begin += rows * width
            after.append(x[:, -rows:].flatten(1))
            y = F.conv1d(x.transpose(1, 2), convolution.weight, convolution.bias, STRIDE).relu().transpose(1, 2)
            stride //= STRIDE
            x = y[:, :stride]
            places = (step * stride - 1)[:, None] + torch.arange(stride)
            counts = (places >= 0) & (places < thinned(total, k + 1)[:, None])  # those of the recording
            x = torch.where(counts[..., None], x, 0.0)
        y, (h_next, c_next) = self.network.lstm(front.norm(x), (h, c))
        h_next, c_next = (torch.where(counts, new, old) for new, old in ((h_next, h), (c_next, c)))
        return self.network.out(y[:, 0]), counts[:, 0], total, h_next, c_next, torch.cat(after, 1)


def recipe(task: "CommandRecognizer") -> Recipe:
    """The whole model from samples to probabilities; step by step the frames of a step, and the network."""
    features, network = task.features, task.network_
    second = features.rate
    given = [sounds(lengths) for lengths in ([second // 2, second // 3, second // 5], [0, 1, second], [second // 4])]
    whole = Part("model", Recognised(task), given[0], SOUND_AXES, ("probabilities",), others=given[1:])
    hop, spotting = hop_of(features, network.stride), task.spotting
    around = {
        "sound": sound_of(features),
        "classes": task.classes_,
        "stream": {
            **hop,
            "seconds": task.step_seconds,
            "lag": 1,
            "commands": task.commands_,
            "log_ratio_mean": spotting.window,
            "rest": spotting.refractory,
            "threshold": spotting.threshold,
        },
    }
    left = ["resampling of the sound to the model's rate"]
    left.append("of a stream, how the log ratios of its logits become events: their mean, the threshold and the rest")
    if task.blend_.share < 1:
        left.append(
            f"of recordings above {NOISE_SECONDS} seconds, the noise beside their cepstra: it begins again after that "
            "time, which may move their probabilities a little"
        )
    return Recipe(task.name, [whole], around, steps=[front_of(features, network.stride), _step(network)], left_out=left)


def _step(network: CommandNetwork) -> Part:
    module, size = Listening(network), network.size
    generator = torch.Generator().manual_seed(0)

    def given(counts: list[int], seen: list[int]) -> dict[str, Any]:
        batch = len(counts)
        state = torch.randn(2, size.layers, batch, size.hidden_size, generator=generator).tanh()
        width = sum(rows * each for rows, each in module.kept)
        return {
            "frames": 5 + 3 * torch.randn(batch, network.stride, size.bins, generator=generator),
            "count": torch.tensor(counts),
            "seen": torch.tensor(seen),
            "h": state[0],
            "c": state[1],
            "held": torch.randn(batch, width, generator=generator),
        }

    stride = network.stride
    rows = {name: {0: "batch"} for name in ("frames", "count", "seen", "held")}
    axes = {**rows, "h": {1: "batch"}, "c": {1: "batch"}}
    state = {f"{name}_next": name for name in ("seen", "h", "c", "held")}
    others = [given([1, 0], [stride, 3 * stride - 1]), given([stride], [0])]
    inputs = given([stride, stride, 0], [0, 5 * stride, stride])
    return Part("step", module, inputs, axes, ("logits", "counts", *state), state, others)
