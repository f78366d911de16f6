"""What each word of a text adds to a class, through either half of the answer: the LSTMs and the n-grams."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from memfold.drawing import Choice, ColouredText, Stack
from memfold.explain.attribution import inputs_of, integrated_gradients, substituted
from memfold.page import Section
from memfold.runtime.texts.tokens import tokens, unspaced
from memfold.tasks.sentiment.influence import blended, log_odds
from memfold.words import Words

if TYPE_CHECKING:
    from memfold.data.labelled import LabelledTexts
    from memfold.runtime.texts.blend import TextAnswers
    from memfold.tasks.sentiment.task import TextClassifier

__all__ = ["TextScore", "mistaken_texts"]

SHOWN_TEXTS = 5
MOST_PIECES = 200  # of a text that are drawn


class TextScore:
    """The log-odds of a class in the whole answer to a text, as a function of what either half reads.

    Attributes:
        pieces: the tokens that the LSTMs read, T.
        read: what the LSTMs read of each and, from ``width`` on, what it adds to the logits of the linear model,
            (T, D).
        without: the same of a text that says nothing, (T, D).
    """

    def __init__(self, model: "TextClassifier", text: str, place: int) -> None:
        self.network, self.blend, self.place = model.network_, model.blend_, place
        encoded = model.encoder_.encode([text])
        self.pieces = tokens(text)[: len(encoded.rows[0])]
        self.batch = encoded.batch([0])
        self.layers = [member.lstm for member in self.network.networks]
        added, rest = (torch.from_numpy(part).float() for part in self.network.ngrams.linear.contributions(text))
        self.added = added[: len(self.pieces)]
        self.beyond = added[len(self.pieces) :].sum(0) + rest  # of tokens that the LSTMs do not read
        x = inputs_of(self.layers, self.run) if self.pieces else torch.zeros(0, 0)  # (T, all their I)
        self.width = x.shape[1]
        self.read = torch.cat([x, self.added], 1)
        self.without = torch.cat([x.mean(0).expand_as(x), torch.zeros_like(self.added)], 1)

    def run(self) -> Tensor:
        """The log-odds of the text as it is."""
        return self._odds(self.added)

    def __call__(self, read: Tensor) -> Tensor:
        """The log-odds where both halves read this, (T, D)."""
        with substituted(self.layers, read[:, : self.width]):
            return self._odds(read[:, self.width :])

    def _odds(self, linear: Tensor) -> Tensor:
        by_network: Tensor = self.network(self.batch)
        answer = blended(by_network[0], (linear.sum(0) + self.beyond).log_softmax(-1), self.blend)
        return log_odds(answer)[self.place]

    def owed(self) -> tuple[np.ndarray, np.ndarray]:
        """What each token adds through the LSTMs and through the linear model, by integrated gradients, (T,) each."""
        shares = integrated_gradients(self, self.read, self.without)
        return shares[:, : self.width].sum(1).numpy(), shares[:, self.width :].sum(1).numpy()


def mistaken_texts(
    model: "TextClassifier", examples: "LabelledTexts", truth: Sequence[int], answers: "TextAnswers", words: Words
) -> list[Section]:
    """The texts that were mistaken worst, coloured by what spoke for the answer; nothing where none was.

    Args:
        truth: the classes by number.
    """
    probabilities, true = answers.probabilities, np.asarray(truth)
    given = probabilities[np.arange(len(true)), true]
    wrong = [int(row) for row in np.argsort(given, kind="stable") if probabilities[row].argmax() != true[row]]
    drawn: dict[str, Stack] = {}
    model.network_.eval()
    for row in wrong:
        answer = int(probabilities[row].argmax())
        score = TextScore(model, examples.texts[row], answer)
        if not score.pieces:
            continue
        named = {"actual": model.classes_[int(true[row])], "predicted": model.classes_[answer]}
        drawn[words("mistaken text", number=len(drawn) + 1, **named)] = _halves(score, words)
        if len(drawn) == SHOWN_TEXTS:
            break
    if not drawn:
        return []
    return [(words("what mattered"), words("what mattered text"), Choice(drawn, words("choose text")))]


def _halves(score: TextScore, words: Words) -> Stack:
    """The text twice, in the colours of either half, on one scale."""
    halves = [np.asarray(half, np.float64) for half in score.owed()]
    most = float(np.abs(np.concatenate(halves)).max(initial=0.0))
    pieces = [piece if unspaced(piece) else f"{piece} " for piece in score.pieces[:MOST_PIECES]]
    if len(score.pieces) > MOST_PIECES:
        pieces[-1] += "…"
    drawn = {}
    for key, half in zip(("half lstms", "half linear"), halves, strict=True):
        caption = words(key, sum=half.sum())
        drawn[caption] = ColouredText(pieces, half[:MOST_PIECES], caption, most)
    return Stack(drawn)
