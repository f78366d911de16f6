"""Recordings as ragged batches of similar lengths, changed a little each time, and the problem the loop works on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import jiwer
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from memfold.tasks.bucketing import bucketed, by_size_within
from memfold.tasks.transcribe.network import AcousticNetwork
from memfold.tasks.transcribe.search import BLANK, Alphabet, greedy, least_steps
from memfold.training import Problem

__all__ = ["Recordings", "SpeechBatch", "SpeechProblem", "log_probabilities", "mask", "stretch"]

Frames = NDArray[np.float16]
JITTER = 0.2  # of recordings' lengths, when batches are made
STRETCH = 0.1  # a recording is made up to so much longer or shorter
MASKS = 2  # over bands, and as many over time
WIDEST, LONGEST, SHARE = 0.15, 20, 0.1  # of the bands, for a mask; frames, and share of the recording
GROWING = 10_000  # steps over which changes grow to these: a short training needs few, and CTC a clean start


@dataclass(frozen=True)
class Recordings:
    """Frames ``(T, M)`` of each recording, and the labels of its text."""

    frames: Sequence[Frames]
    labels: Sequence[list[int]]


@dataclass(frozen=True)
class SpeechBatch:
    """Normalised frames ``(B, T, M)`` and lengths ``(B,)``; labels one after another, and lengths ``(B,)``."""

    x: Tensor
    lengths: Tensor
    labels: Tensor
    label_lengths: Tensor


def mask(x: Tensor, lengths: Tensor, generator: torch.Generator, strength: float = 1.0) -> None:
    """Put 0 into bands and stretches of time of every recording, as SpecAugment does (Park et al. 2019, sec. 2)."""
    bands = x.shape[2]
    draws = torch.rand(len(x), MASKS, 4, generator=generator).tolist()
    for row, masks in enumerate(draws):
        length = int(lengths[row])
        for wide, low, long, start in masks:
            width = int(wide * (strength * WIDEST * bands + 1))
            at = int(low * (bands - width + 1))
            x[row, :, at : at + width] = 0
            width = int(long * (strength * min(LONGEST, SHARE * length) + 1))
            at = int(start * (length - width + 1))
            x[row, at : at + width] = 0


def stretch(x: Tensor, factor: float) -> Tensor:
    """Frames ``(T, M)`` made longer by a factor, by linear interpolation."""
    length = max(1, round(len(x) * factor))
    return F.interpolate(x.T[None], size=length, mode="linear")[0].T


def log_probabilities(model: AcousticNetwork, frames: Sequence[Frames], at_once: int = 20_000) -> list[Tensor]:
    """Of every recording ``(S, 1 + V)``, without a gradient."""
    results: dict[int, Tensor] = {}
    with torch.no_grad():
        for block in by_size_within([len(row) for row in frames], at_once):
            rows = [model.front.normalised(torch.from_numpy(frames[i]).float()) for i in block]
            lengths = torch.tensor([len(row) for row in rows])
            y, steps = model(pad_sequence(rows, batch_first=True), lengths)
            results |= {i: log_p[:n] for i, log_p, n in zip(block, y, steps.tolist(), strict=True)}
    return [results[i] for i in range(len(frames))]


class SpeechProblem(Problem):
    """Training by the CTC loss; the score is the character error rate of the likeliest labels."""

    metric = "valid CER"
    unit = "frames"

    def __init__(
        self,
        model: AcousticNetwork,
        train: Recordings,
        valid: Recordings,
        alphabet: Alphabet,
        batch_frames: int,
        augment: bool,
        seed: int,
    ) -> None:
        self.model: AcousticNetwork = model
        self.train, self.valid, self.alphabet = train, valid, alphabet
        self.batch_frames, self.augment, self.seed = batch_frames, augment, seed
        self.sizes = [len(recording) for recording in train.frames]
        self.least = [least_steps(labels) for labels in train.labels]
        self.steps_per_epoch = len(self._order(0, torch.Generator().manual_seed(seed)))

    def batches(self, epoch: int) -> Iterator[SpeechBatch]:
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + epoch)
        for step, rows in enumerate(self._order(epoch, generator), start=epoch * self.steps_per_epoch):
            yield self._batch(rows, generator, min(1.0, step / GROWING) if self.augment else 0.0)

    def _order(self, epoch: int, generator: torch.Generator) -> list[list[int]]:
        return bucketed(self.sizes, self.batch_frames, generator, JITTER)

    def _batch(self, rows: Sequence[int], generator: torch.Generator, strength: float) -> SpeechBatch:
        frames = [self.model.front.normalised(torch.from_numpy(self.train.frames[i]).float()) for i in rows]
        if strength:
            factors = (1 + strength * STRETCH * (2 * torch.rand(len(rows), generator=generator) - 1)).tolist()
            stretched = [stretch(recording, factor) for recording, factor in zip(frames, factors, strict=True)]
            frames = [
                new if self._fits(len(new), i) else recording
                for recording, new, i in zip(frames, stretched, rows, strict=True)
            ]
        lengths = torch.tensor([len(recording) for recording in frames])
        x = pad_sequence(frames, batch_first=True)
        if strength:
            mask(x, lengths, generator, strength)
        labels = [self.train.labels[i] for i in rows]
        return SpeechBatch(
            x,
            lengths,
            torch.tensor(list(chain.from_iterable(labels))),
            torch.tensor([len(text) for text in labels]),
        )

    def _fits(self, frames: int, index: int) -> bool:
        return self.model.steps(frames) >= self.least[index]

    def loss(self, batch: SpeechBatch) -> Tensor:
        y, steps = self.model(batch.x, batch.lengths)
        lost = F.ctc_loss(y.transpose(0, 1), batch.labels, steps, batch.label_lengths, BLANK, reduction="sum")
        return lost / batch.label_lengths.sum()  # nats a character

    def count(self, batch: SpeechBatch) -> int:
        return int(batch.lengths.sum())

    def validate(self) -> float:
        predicted = [greedy(log_p.numpy()) for log_p in log_probabilities(self.model, self.valid.frames)]
        texts = [self.alphabet.decode(labels) for labels in self.valid.labels]
        return float(jiwer.cer(texts, [self.alphabet.decode(labels) for labels in predicted]))
