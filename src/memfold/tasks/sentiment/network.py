"""The classifying network: embeddings of words and n-grams, a bidirectional LSTM, attention over what it read."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memfold.nn import LSTM
from memfold.tasks.sentiment.baselines import TfidfRegression
from memfold.tasks.sentiment.tokens import BLANK, BUCKETS, UNKNOWN, Batch, EncodedTexts
from memfold.training import Problem

__all__ = ["ClassifyProblem", "Ensemble", "NetworkSize", "TextNetwork", "batches_by_length"]

EMBEDDING_STD = 0.1
DROP_TOKEN = 0.2  # share of tokens that are blanked in training
DROP_WORD = 0.3  # share of kinds of tokens that must be told by their n-grams alone
SMOOTHING = 0.1  # of the labels (Szegedy et al. 2016, sec. 7)
POOL = 20  # batches that are sorted by length together


@dataclass(frozen=True)
class NetworkSize:
    """What fixes the network's shapes.

    Attributes:
        words: of the vocabulary.
        classes: to tell apart.
    """

    words: int
    classes: int
    embedding_size: int
    hidden_size: int
    num_layers: int
    dropout: float

    def as_json(self) -> dict[str, Any]:
        """Plain values for a configuration file."""
        return asdict(self)


class Ensemble(nn.Module):
    """Networks that learn side by side from the same batches, each from its own first weights.

    Attributes:
        baseline: what the network is scored beside, kept with it; it takes no part in the training.
    """

    baseline: TfidfRegression

    def __init__(self, size: NetworkSize, members: int) -> None:
        super().__init__()
        self.size = size
        self.members = nn.ModuleList(TextNetwork(size) for _ in range(members))

    @torch.no_grad()
    def start_word(self, place: int, vector: Tensor) -> None:
        """Let a word's embedding start from a vector (E,)."""
        for member in self.members:
            assert isinstance(member, TextNetwork)
            member.words.weight[place] = vector

    def forward(self, batch: Batch) -> Tensor:
        """Every member's log-probabilities, (M, B, C)."""
        return torch.stack([member(batch).log_softmax(-1) for member in self.members])

    def log_probabilities(self, batch: Batch) -> Tensor:
        """Those of the members' geometric mean, (B, C)."""
        mean: Tensor = self(batch).mean(0).log_softmax(-1)
        return mean


class TextNetwork(nn.Module):
    """A bidirectional LSTM whose outputs are pooled twice: weighted by attention, and by their maxima.

    A token's embedding is that of its word plus the mean of those of its n-grams (Bojanowski et al. 2017), so that a
    word that was never seen still has one. The attention is one learnt query (Yang et al. 2016, eq. 6, without its
    inner layer).
    """

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        self.size = size
        self.words = nn.Embedding(size.words + 1, size.embedding_size)  # the first one for what is unknown
        self.grams = nn.EmbeddingBag(BUCKETS, size.embedding_size, mode="mean")
        nn.init.normal_(self.words.weight, std=EMBEDDING_STD)
        nn.init.normal_(self.grams.weight, std=EMBEDDING_STD)
        self.lstm = LSTM(
            size.embedding_size,
            size.hidden_size,
            size.num_layers,
            batch_first=True,
            dropout=size.dropout if size.num_layers > 1 else 0.0,
            bidirectional=True,
        )
        self.attention = nn.Linear(2 * size.hidden_size, 1)
        self.out = nn.Linear(4 * size.hidden_size, size.classes)
        self.dropout = nn.Dropout(size.dropout)

    def forward(self, batch: Batch) -> Tensor:
        """The classes' logits, (B, C)."""
        words, kinds = batch.words, batch.kinds
        if self.training:
            words = torch.where(torch.rand(len(words)) < DROP_WORD, UNKNOWN, words)
            kinds = torch.where(torch.rand(kinds.shape) < DROP_TOKEN, BLANK, kinds)
        embedded = self.words(words) + self.grams(batch.grams, batch.gram_starts)  # (K, E)
        x = self.dropout(F.embedding(kinds, embedded))  # (B, T, E)
        h, _ = self.lstm(x, lengths=batch.lengths)  # (B, T, 2H)
        weights = attention_weights(self.attention(h).squeeze(-1), batch.lengths)
        outside = torch.arange(h.shape[1]) >= batch.lengths[:, None]
        largest = h.masked_fill(outside[..., None], -1.0).amax(1)  # an LSTM's outputs are above -1
        pooled = torch.cat([(weights[..., None] * h).sum(1), largest], -1)  # (B, 4H)
        logits: Tensor = self.out(self.dropout(pooled))
        return logits


def attention_weights(scores: Tensor, lengths: Tensor) -> Tensor:
    """The softmax of every row's scores (B, T) over its length; 0 beyond it, and throughout a row of length 0."""
    outside = torch.arange(scores.shape[1]) >= lengths[:, None]
    return scores.masked_fill(outside, torch.finfo(scores.dtype).min).softmax(-1).masked_fill(outside, 0.0)


def batches_by_length(texts: EncodedTexts, batch_size: int, seed: int | None = None) -> Iterator[Batch]:
    """All texts in batches of similar length: in random order when there is a seed, else by length throughout."""
    lengths = torch.tensor([len(row) for row in texts.rows])
    if seed is None:
        order = torch.argsort(lengths, stable=True)
        chunks = list(torch.split(order, batch_size))
    else:
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(lengths), generator=generator)
        pools = torch.split(order, POOL * batch_size)
        chunks = [c for pool in pools for c in torch.split(pool[torch.argsort(lengths[pool])], batch_size)]
        chunks = [chunks[i] for i in torch.randperm(len(chunks), generator=generator)]
    for chunk in chunks:
        yield texts.batch(chunk.tolist())


class ClassifyProblem(Problem):
    """Training on labelled texts.

    Args:
        class_weights: of every class's examples in the loss, (C,).
    """

    metric = "valid cross-entropy"
    unit = "tokens"

    def __init__(
        self,
        model: Ensemble,
        train: EncodedTexts,
        valid: EncodedTexts,
        class_weights: Tensor,
        batch_size: int,
        seed: int,
    ) -> None:
        self.model: Ensemble = model
        self.train, self.class_weights, self.batch_size, self.seed = train, class_weights, batch_size, seed
        self.steps_per_epoch = -(-len(train.rows) // batch_size)
        self.valid = list(batches_by_length(valid, batch_size))

    def batches(self, epoch: int) -> Iterator[Batch]:
        return batches_by_length(self.train, self.batch_size, 1_000_003 * self.seed + epoch)

    def count(self, batch: Batch) -> int:
        return int(batch.lengths.sum())

    def loss(self, batch: Batch) -> Tensor:
        members = self.model(batch)
        weights = self.class_weights[batch.labels]  # (B,)
        chosen = members[:, torch.arange(len(weights)), batch.labels]  # (M, B)
        smoothed = (1 - SMOOTHING) * chosen + SMOOTHING * members.mean(-1)  # (M, B)
        loss: Tensor = -(weights * smoothed).mean()
        return loss

    def validate(self) -> float:
        losses = [F.nll_loss(self.model.log_probabilities(b), b.labels, reduction="sum").item() for b in self.valid]
        return sum(losses) / sum(len(b.labels) for b in self.valid)
