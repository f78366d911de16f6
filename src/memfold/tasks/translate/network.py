"""An encoder and a decoder of LSTMs with attention between the decoder's layers, as GNMT (Wu et al. 2016)."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from memfold.nn import LSTM
from memfold.nn.dropout import dropout

__all__ = ["DecoderState", "Memory", "Searching", "TranslationNetwork", "TranslationSize"]


@dataclass(frozen=True)
class TranslationSize:
    """What the shapes of the network follow from.

    Attributes:
        source_vocabulary, target_vocabulary: V, subwords of each language.
        embedding_size: E.
        hidden_size: H, of the decoder's layers; half of it for each direction of the encoder.
        encoder_layers: of the encoder, bidirectional.
        decoder_layers: the first, which asks the attention, and the others above it.
    """

    source_vocabulary: int
    target_vocabulary: int
    embedding_size: int
    hidden_size: int
    encoder_layers: int
    decoder_layers: int
    dropout: float


@dataclass(frozen=True)
class Memory:
    """What the encoder hands to the decoder.

    Attributes:
        values: (B, S, H).
        padding: (B, S), True past a row's length.
        first: the first state of the decoder's first layer, (B, H).
    """

    values: Tensor
    padding: Tensor
    first: Tensor

    def rows(self, index: NDArray[np.int64]) -> Self:
        """The memory of some rows."""
        return type(self)(self.values[index], self.padding[index], self.first[index])


@dataclass(frozen=True)
class DecoderState:
    """h and c of the decoder's first layer, (1, B, H), and of those above, (L - 1, B, H)."""

    first: tuple[Tensor, Tensor]
    upper: tuple[Tensor, Tensor]

    @classmethod
    def after(cls, memory: Memory, layers: int) -> Self:
        """That of a decoder with so many layers before the first word."""
        B, H = memory.first.shape
        zero = memory.first.new_zeros(1, B, H)
        upper = memory.first.new_zeros(layers - 1, B, H)
        return cls((memory.first[None], zero), (upper, upper))

    def rows(self, index: NDArray[np.int64]) -> Self:
        """The state of some rows."""
        return type(self)(*((h[:, index], c[:, index]) for h, c in (self.first, self.upper)))


class SequenceDropout(nn.Module):
    """Dropout of (B, T, ·) with one mask for all steps of a row (Gal & Ghahramani 2016)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        return x * dropout(x.new_ones(x.shape[0], 1, x.shape[2]), self.rate)


class TranslationNetwork(nn.Module):
    """Log-probabilities of a translation's subwords.

    The first layer of the decoder sees the words so far and no context, so it folds the whole target in one call; the
    attention of all its steps is one batched product (Luong et al. 2015, "general"); the layers above fold [h; context]
    in one call (Wu et al. 2016, sec. 3). What the attention gives is the encoder's state and the word itself, by a
    projection of its embedding: so rare words are learned sooner (cf. Nguyen & Chiang 2018). One code path serves
    training, where the target is known, and search, where a step is appended at a time.

    Attributes:
        memory: bytes of the translation memory, where one answers beside it.
    """

    memory: Tensor

    def __init__(self, size: TranslationSize) -> None:
        super().__init__()
        self.size = size
        E, H = size.embedding_size, size.hidden_size
        # The embeddings of both languages; the target's one is also the output matrix.
        self.source_embedding = nn.Embedding(size.source_vocabulary, E)
        self.target_embedding = nn.Embedding(size.target_vocabulary, E)
        for embedding in (self.source_embedding, self.target_embedding):
            nn.init.normal_(embedding.weight, std=E**-0.5)
        # The encoder reads the source in both directions; each word adds its own projection.
        self.encoder = _stack(E, H // 2, size.encoder_layers, size.dropout, bidirectional=True)
        self.lexical = nn.Linear(E, H, bias=False)
        # From the encoder's last states to the decoder's first one.
        self.bridge = nn.Linear(H, H)
        # The decoder: a layer that asks, the attention, and the layers above it.
        self.first = LSTM(E, H, batch_first=True)
        self.query = nn.Linear(H, H, bias=False)
        self.upper = _stack(2 * H, H, size.decoder_layers - 1, size.dropout)
        # From the last layer and its context back to an embedding, whose products are the logits.
        self.readout = nn.Linear(2 * H, E)
        self.bias = nn.Parameter(torch.zeros(size.target_vocabulary))
        self.dropout = SequenceDropout(size.dropout)

    def encode(self, source: Tensor, lengths: Tensor) -> Memory:
        """Read the source, (B, S) subwords of which each row has ``lengths``."""
        x = self.dropout(self.source_embedding(source) * self.size.embedding_size**0.5)
        y, (h, _) = self.encoder(x, lengths=lengths)  # (B, S, H)
        padding = torch.arange(source.shape[1])[None, :] >= lengths[:, None]
        first = torch.tanh(self.bridge(torch.cat([h[-2], h[-1]], dim=-1)))  # (B, H)
        return Memory(self.dropout(y + self.lexical(x)), padding, first)

    def begin(self, memory: Memory) -> DecoderState:
        """The decoder's state before the first word."""
        return DecoderState.after(memory, self.size.decoder_layers)

    def decode(
        self, memory: Memory, words: Tensor, state: DecoderState, lengths: Tensor | None = None
    ) -> tuple[Tensor, DecoderState, Tensor]:
        """Go on with the words given.

        Args:
            words: (B, T), each of them before the one that is to be predicted.
            lengths: of the rows, (B,); T for all when None.

        Returns:
            Features (B, T, E) of which `logits` makes scores, the state after the words, and where the attention was,
            (B, T, S).
        """
        x = self.dropout(self.target_embedding(words) * self.size.embedding_size**0.5)
        # The first layer folds all words, and each of its outputs asks the source.
        h, first = self.first(x, state.first, lengths=lengths)  # (B, T, H)
        scores = torch.bmm(self.query(h), memory.values.transpose(1, 2)) * self.size.hidden_size**-0.5
        attention = scores.masked_fill(memory.padding[:, None, :], -torch.inf).softmax(dim=-1)  # (B, T, S)
        context = torch.bmm(attention, memory.values)  # (B, T, H)
        y, upper = self.upper(self.dropout(torch.cat([h, context], dim=-1)), state.upper, lengths=lengths)
        features = torch.tanh(self.readout(self.dropout(torch.cat([y, context], dim=-1))))  # (B, T, E)
        return self.dropout(features), DecoderState(first, upper), attention

    def step(self, memory: Memory, words: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState, Tensor]:
        """Go on with a word each, (B, 1): log-probabilities (B, V) of the next ones, the state after the words, and
        where the attention was, (B, S)."""
        features, after, attention = self.decode(memory, words, state)
        return self.logits(features[:, 0]).log_softmax(-1), after, attention[:, 0]

    def logits(self, features: Tensor) -> Tensor:
        """Scores (..., V) of every subword, by the embedding itself (Press & Wolf 2017)."""
        return nn.functional.linear(features, self.target_embedding.weight, self.bias)


@dataclass(frozen=True)
class Searching:
    """A network as `memfold.tasks.translate.search.Searched`, in evaluation mode."""

    network: TranslationNetwork

    @torch.no_grad()
    def encode(self, source: NDArray[np.int64], lengths: NDArray[np.int64]) -> Memory:
        """Read the source, (B, S) subwords of which each row has ``lengths``."""
        return self.network.eval().encode(torch.from_numpy(source), torch.from_numpy(lengths))

    def begin(self, memory: Memory) -> DecoderState:
        """The decoder's state before the first word."""
        return self.network.begin(memory)

    @torch.no_grad()
    def step(
        self, memory: Memory, words: NDArray[np.int64], state: DecoderState
    ) -> tuple[NDArray[np.float32], DecoderState]:
        """Go on with a word each, (B, 1)."""
        log_p, after, _ = self.network.step(memory, torch.from_numpy(words), state)
        return log_p.numpy(), after


def _stack(inputs: int, hidden: int, layers: int, dropout: float, bidirectional: bool = False) -> LSTM:
    """Layers with dropout between them, where there is a between."""
    between = dropout if layers > 1 else 0.0
    return LSTM(inputs, hidden, layers, batch_first=True, bidirectional=bidirectional, dropout=between)
