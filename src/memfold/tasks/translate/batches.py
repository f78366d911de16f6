"""Sentence pairs as ragged batches of similar lengths, and the problem the training loop works on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from memfold.tasks.bucketing import bucketed
from memfold.tasks.linear_cross_entropy import linear_cross_entropy
from memfold.tasks.translate.network import TranslationNetwork
from memfold.tasks.translate.subwords import BEGIN, END
from memfold.training import Problem

__all__ = ["Pairs", "TranslationProblem", "pad"]


@dataclass(frozen=True)
class Pairs:
    """A batch of sentence pairs.

    Attributes:
        source: (B, S), and the lengths (B,).
        words: (B, T), the begin and the translation.
        target: (B, T), the translation and the end; what is read and what is predicted stand at the same place.
        target_lengths: (B,).
    """

    source: Tensor
    source_lengths: Tensor
    words: Tensor
    target: Tensor
    target_lengths: Tensor

    @classmethod
    def of(cls, sources: Sequence[list[int]], targets: Sequence[list[int]]) -> "Pairs":
        source, source_lengths = pad(sources)
        words, target_lengths = pad([[BEGIN, *target] for target in targets])
        target, _ = pad([[*target, END] for target in targets])
        return cls(source, source_lengths, words, target, target_lengths)


def pad(rows: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
    """Rows of unequal length as (B, T), and their lengths (B,)."""
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True), torch.tensor([len(r) for r in rows])


class TranslationProblem(Problem):
    """Training on sentence pairs."""

    metric = "valid loss"
    unit = "subwords"

    def __init__(
        self,
        model: TranslationNetwork,
        pairs: tuple[Sequence[list[int]], Sequence[list[int]]],
        valid: tuple[Sequence[list[int]], Sequence[list[int]]],
        batch_tokens: int,
        smoothing: float,
        seed: int,
    ) -> None:
        self.model: TranslationNetwork = model
        self.sources, self.targets = pairs
        self.tokens, self.smoothing, self.seed = batch_tokens, smoothing, seed
        self.sizes = [len(s) + len(t) + 1 for s, t in zip(*pairs, strict=True)]
        generator = torch.Generator().manual_seed(seed)
        self.steps_per_epoch = len(bucketed(self.sizes, self.tokens, generator))
        self.valid = [
            Pairs.of([valid[0][i] for i in batch], [valid[1][i] for i in batch])
            for batch in bucketed([len(s) + len(t) for s, t in zip(*valid, strict=True)], 2 * batch_tokens, generator)
        ]

    def batches(self, epoch: int) -> Iterator[Pairs]:
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + epoch)
        for batch in bucketed(self.sizes, self.tokens, generator):
            yield Pairs.of([self.sources[i] for i in batch], [self.targets[i] for i in batch])

    def loss(self, batch: Pairs) -> Tensor:
        return self._loss(batch, self.smoothing)

    def _loss(self, batch: Pairs, smoothing: float) -> Tensor:
        model = self.model
        memory = model.encode(batch.source, batch.source_lengths)
        features, _, _ = model.decode(memory, batch.words, model.begin(memory), batch.target_lengths)
        real = torch.arange(batch.target.shape[1])[None, :] < batch.target_lengths[:, None]
        weight, bias = model.target_embedding.weight, model.bias
        return linear_cross_entropy(features[real], weight, bias, batch.target[real], smoothing=smoothing)

    def count(self, batch: Pairs) -> int:
        return int(batch.target_lengths.sum())

    def validate(self) -> float:
        counts = [self.count(batch) for batch in self.valid]
        losses = [self._loss(batch, smoothing=0.0).item() for batch in self.valid]
        return sum(n * loss for n, loss in zip(counts, losses, strict=True)) / sum(counts)
