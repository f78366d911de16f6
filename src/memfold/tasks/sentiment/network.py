"""The classifying network: embeddings of words and n-grams, a bidirectional LSTM, attention over what it read."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from memfold.nn import LSTM
from memfold.nn.dropout import Dropout
from memfold.tasks.bucketing import by_size, pooled
from memfold.tasks.sentiment.baselines import NgramRegression
from memfold.tasks.sentiment.encoding import BLANK, BUCKETS, UNKNOWN, EncodedTexts, TextBatch
from memfold.tasks.sentiment.folds import Folds
from memfold.training import Problem

__all__ = ["ClassifyProblem", "Ensemble", "TextNetwork", "batches_by_length", "log_probabilities"]

EMBEDDING_STD = 0.1
DROP_TOKEN = 0.2  # share of tokens that are blanked in training
DROP_WORD = 0.3  # share of kinds of tokens that must be encoded by their n-grams alone
ASKED = 512  # words of a batch, at most, that each direction guesses
SMOOTHING = 0.1  # of the labels (Szegedy et al. 2016, sec. 7)
POOL = 20  # batches that are sorted by length together
PREDICT_BATCH = 128

Array = NDArray[np.float64]


class Ensemble(nn.Module):
    """Networks that are trained side by side on the same batches, each from its own first weights.

    Args:
        members: how many.
        shapes: of each, as `TextNetwork` takes them.

    Attributes:
        baseline: the linear model that is scored beside them; it takes no part in their training.
        ngrams: the one that they are blended with; nor does this.
    """

    baseline: NgramRegression
    ngrams: NgramRegression

    def __init__(self, members: int, *shapes: Any) -> None:
        super().__init__()
        self.members = nn.ModuleList(TextNetwork(*shapes) for _ in range(members))

    @property
    def networks(self) -> list["TextNetwork"]:
        """The members."""
        return [member for member in self.members if isinstance(member, TextNetwork)]

    @torch.no_grad()
    def start_word(self, place: int, vector: Tensor) -> None:
        """Let a word's embedding start from a vector (E,)."""
        for network in self.networks:
            network.words.weight[place] = vector

    def forward(self, batch: TextBatch, fold: int = 0, folds: int = 1) -> Tensor:
        """The log-probabilities of the geometric mean of the members that leave out a fold, of all when there is one,
        (B, C)."""
        asked = self.networks[fold::folds]
        return torch.stack([network(batch).log_softmax(-1) for network in asked]).mean(0).log_softmax(-1)


class TextNetwork(nn.Module):
    """A bidirectional LSTM whose outputs are pooled twice: weighted by attention, and by their maxima.

    A token's embedding is that of its word plus the mean of those of its n-grams (Bojanowski et al. 2017), so that a
    word that was never seen still has one. The attention is one learned query (Yang et al. 2016, eq. 6, without its
    inner layer).

    Args:
        words: of the vocabulary.
        classes: C.
        width: of an embedding, E.
        hidden_size: H, in each direction.
        buckets: of n-grams.
    """

    def __init__(
        self, words: int, classes: int, width: int, hidden_size: int, dropout: float, buckets: int = BUCKETS
    ) -> None:
        super().__init__()
        # A token is its word plus the mean of its n-grams.
        self.words = nn.Embedding(words + 1, width)  # the first one for what is unknown
        self.grams = nn.EmbeddingBag(buckets, width, mode="mean")
        nn.init.normal_(self.words.weight, std=EMBEDDING_STD)
        nn.init.normal_(self.grams.weight, std=EMBEDDING_STD)
        # It is read in both directions, and pooled by attention and by maxima.
        self.lstm = LSTM(width, hidden_size, batch_first=True, bidirectional=True)
        self.attention = nn.Linear(2 * hidden_size, 1)
        self.out = nn.Linear(4 * hidden_size, classes)
        self.dropout = Dropout(dropout)
        # In training each direction also guesses the next word it comes to.
        self.next_word = nn.Linear(hidden_size, width)
        self.last_word = nn.Linear(hidden_size, width)
        self.frequency = nn.Parameter(torch.zeros(words + 1))

    def forward(self, batch: TextBatch) -> Tensor:
        """The classes' logits, (B, C)."""
        return self.classify(self.read(batch), batch.lengths)

    def read(self, batch: TextBatch) -> Tensor:
        """What the LSTM makes of every token, forwards and backwards, (B, T, 2H)."""
        # In training some words are only known by their n-grams, and some tokens are blank.
        words, kinds = batch.words, batch.kinds
        if self.training:
            words = torch.where(torch.rand(len(words)) < DROP_WORD, UNKNOWN, words)
            kinds = torch.where(torch.rand(kinds.shape) < DROP_TOKEN, BLANK, kinds)
        # Embed every kind of token once, then put it wherever it stands.
        embedded = self.words(words) + self.grams(batch.grams, batch.gram_starts)  # (K, E)
        x = self.dropout(F.embedding(kinds, embedded))  # (B, T, E)
        h: Tensor = self.lstm(x, lengths=batch.lengths)[0]  # (B, T, 2H)
        return h

    def classify(self, h: Tensor, lengths: Tensor) -> Tensor:
        """The classes' logits, (B, C)."""
        weights = attention_weights(self.attention(h).squeeze(-1), lengths)  # (B, T)
        outside = torch.arange(h.shape[1]) >= lengths[:, None]
        largest = h.masked_fill(outside[..., None], -1.0).amax(1)  # an LSTM's outputs are above -1
        pooled = torch.cat([(weights[..., None] * h).sum(1), largest], -1)  # (B, 4H)
        logits: Tensor = self.out(self.dropout(pooled))
        return logits

    def neighbour_loss(self, h: Tensor, batch: TextBatch) -> Tensor:
        """How badly each direction guesses the word it comes to next, among the words of the batch: a scalar.

        Texts teach more than their labels (Dai & Le 2015; Rei 2017, sec. 3); words out of the vocabulary are not asked.
        """
        # The words to choose from are those of the batch.
        words, place = torch.unique(batch.words, return_inverse=True)
        answers = place[batch.kinds]  # (B, T)
        asked = (torch.arange(h.shape[1]) < batch.lengths[:, None]) & (batch.words != UNKNOWN)[batch.kinds]  # (B, T)
        forward, backward = h.chunk(2, -1)
        losses = []
        for guess, state, target, wanted in (
            (self.next_word, forward[:, :-1], answers[:, 1:], asked[:, 1:]),
            (self.last_word, backward[:, 1:], answers[:, :-1], asked[:, :-1]),
        ):
            # Ask some of the places only: the product with all words costs most.
            rows, steps = wanted.nonzero(as_tuple=True)
            some = torch.randperm(len(rows))[:ASKED]
            rows, steps = rows[some], steps[some]
            logits = guess(state[rows, steps]) @ self.words.weight[words].T + self.frequency[words]  # (N, words)
            losses.append(F.cross_entropy(logits, target[rows, steps], reduction="sum") / max(len(rows), 1))
        return torch.stack(losses).mean()


def attention_weights(scores: Tensor, lengths: Tensor) -> Tensor:
    """The softmax of every row's scores (B, T) over its length; 0 beyond it, and throughout a row of length 0."""
    outside = torch.arange(scores.shape[1]) >= lengths[:, None]
    return scores.masked_fill(outside, torch.finfo(scores.dtype).min).softmax(-1).masked_fill(outside, 0.0)


def batches_by_length(
    texts: EncodedTexts, batch_size: int, seed: int | None = None, among: Sequence[int] | None = None
) -> Iterator[TextBatch]:
    """Texts in batches of similar length: in random order when there is a seed, else by length throughout.

    Args:
        among: the places of those that are wanted; all when None.
    """
    wanted = range(len(texts.rows)) if among is None else among
    sizes = [len(texts.rows[row]) for row in wanted]
    if seed is None:
        chosen = by_size(sizes, batch_size)
    else:
        chosen = pooled(sizes, batch_size, POOL, torch.Generator().manual_seed(seed))
    for places in chosen:
        yield texts.batch([wanted[place] for place in places])


@torch.no_grad()
def log_probabilities(network: Ensemble, texts: EncodedTexts, classes: int, folds: Folds | None = None) -> Array:
    """Of every class for texts, (S, C).

    Args:
        folds: of the texts; each is then answered by the members that leave its fold out, one in no fold by none.
    """
    network.eval()
    result = np.full((len(texts.rows), classes), np.nan)
    for fold in range(1 if folds is None else folds.count):
        chosen = range(len(texts.rows)) if folds is None else folds.rows(fold)
        for batch in batches_by_length(texts, PREDICT_BATCH, among=chosen):
            log_p = network(batch) if folds is None else network(batch, fold, folds.count)
            result[batch.rows.numpy()] = log_p.double().numpy()
    return result


class ClassifyProblem(Problem):
    """Training on labelled texts.

    Args:
        class_weights: of every class's examples in the loss, (C,).
        neighbours: weight of guessing the neighbouring words in the loss.
        folds: of the training texts, each of which some members do not learn the classes of, so that they can be
            validated on it.
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
        neighbours: float = 0.0,
        folds: Folds | None = None,
    ) -> None:
        self.model: Ensemble = model
        self.neighbours, self.folds = neighbours, folds
        self.train, self.class_weights, self.batch_size, self.seed = train, class_weights, batch_size, seed
        self.steps_per_epoch = -(-len(train.rows) // batch_size)
        self.valid = valid

    def batches(self, epoch: int) -> Iterator[TextBatch]:
        return batches_by_length(self.train, self.batch_size, 1_000_003 * self.seed + epoch)

    def count(self, batch: TextBatch) -> int:
        return int(batch.lengths.sum())

    def loss(self, batch: TextBatch) -> Tensor:
        losses = []
        for place, network in enumerate(self.model.networks):
            weights = self.class_weights[batch.labels]  # (B,)
            if self.folds is not None:
                weights = weights * self.folds.learned(place, batch.rows)
            h = network.read(batch)
            logits = network.classify(h, batch.lengths)
            wrong = F.cross_entropy(logits, batch.labels, reduction="none", label_smoothing=SMOOTHING)  # (B,)
            losses.append((weights * wrong).mean())
            if self.neighbours:
                losses[-1] = losses[-1] + self.neighbours * network.neighbour_loss(h, batch)
        return torch.stack(losses).mean()

    def validate(self) -> float:
        classes = len(self.class_weights)
        log_p, labels = log_probabilities(self.model, self.valid, classes), self.valid.labels.numpy()
        if self.folds is not None:
            rows = self.folds.covered
            left_out = log_probabilities(self.model, self.train, classes, self.folds)[rows]
            log_p, labels = np.concatenate([log_p, left_out]), np.concatenate([labels, self.train.labels.numpy()[rows]])
        return -float(log_p[np.arange(len(labels)), labels].mean())
