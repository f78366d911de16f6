"""How much the search counts the language model, chosen on texts that the model has not seen."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import jiwer
import numpy as np
from numpy.typing import NDArray

from memfold.runtime.hearing.search import Alphabet, CharacterModel, SearchWeights, Transcript

__all__ = ["FEW", "NO_LANGUAGE", "Heard", "chosen_weights"]

NO_LANGUAGE = (0.0, 0.0)
CHOICES = tuple(itertools.product((0.0, 0.3, 0.6, 0.9), (0.0, 0.5, 1.0, 1.5)))  # of language and bonus
FEW = 500  # characters to choose on, below which recordings that were trained on are taken too
BEAM = 8
FOLDS = 5


@dataclass(frozen=True)
class Heard:
    """Recordings to choose on.

    Attributes:
        log_ps: (S, 1 + V) of each.
        labels: of their texts.
        included: whether the language model's texts have theirs among them, so that it must be made without.
    """

    log_ps: Sequence[NDArray[np.float32]]
    labels: Sequence[list[int]]
    included: bool


def chosen_weights(
    heard: Sequence[Heard],
    texts: Sequence[list[int]],
    alphabet: Alphabet,
    pause: Callable[[int], int],
    followed: Callable[[Sequence[tuple[float, float]]], Iterable[tuple[float, float]]],
) -> tuple[tuple[float, float], float]:
    """The weights of the language model and of every character with the fewest edits, and these a character.

    They must save more edits than chance does, one standard error over the recordings: otherwise there is no language
    model.

    Args:
        texts: of the language model, as labels.
        pause: how many steps without a character end a segment, of a recording of so many steps.
        followed: shows how far the choice is.
    """
    rows = [
        (log_p, alphabet.decode(labels), model)
        for part in heard
        for (log_p, labels), model in zip(
            zip(part.log_ps, part.labels, strict=True), _models(part, texts, alphabet), strict=True
        )
    ]
    edits = {}
    for language, bonus in followed(CHOICES):
        weights = SearchWeights(BEAM, language, bonus)
        written = [
            Transcript(alphabet, weights, model if language else None, pause(len(log_p))).whole(log_p)
            for log_p, _, model in rows
        ]
        edits[language, bonus] = np.array([_edits(text, one) for (_, text, _), one in zip(rows, written, strict=True)])
    best = min(edits, key=lambda choice: edits[choice].sum())
    saved = edits[NO_LANGUAGE] - edits[best]
    chosen = best if saved.sum() > np.sqrt(np.square(saved).sum()) else NO_LANGUAGE
    return chosen, float(edits[chosen].sum() / max(sum(len(text) for _, text, _ in rows), 1))


def _models(part: Heard, texts: Sequence[list[int]], alphabet: Alphabet) -> list[CharacterModel]:
    """For each recording of a part a language model that has not seen its text."""
    count = len(alphabet.characters)
    if not part.included:
        return [CharacterModel(texts, count)] * len(part.labels)
    distinct = list(dict.fromkeys(map(tuple, texts)))
    fold = {text: place % FOLDS for place, text in enumerate(distinct)}
    models = [CharacterModel([text for text in texts if fold[tuple(text)] != k], count) for k in range(FOLDS)]
    return [models[fold[tuple(labels)]] for labels in part.labels]


def _edits(text: str, written: str) -> int:
    output = jiwer.process_characters(text, written)
    return int(output.substitutions + output.deletions + output.insertions)
