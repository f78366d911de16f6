"""What an update must know of a classifier of texts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from memfold.data.labelled import LabelledTexts, joined
from memfold.data.seen import same_text
from memfold.runtime.texts.blend import TextAnswers
from memfold.runtime.texts.ngrams import RegressionSize
from memfold.tasks.contest import cross_entropy
from memfold.tasks.sentiment.baselines import LinearModels, NgramRegression
from memfold.tasks.updating.padding import with_columns

if TYPE_CHECKING:
    from memfold.tasks.sentiment.task import TextClassifier

NEVER = 10.0  # nats by which a class that was never seen is less likely

__all__ = ["answers", "better", "joined", "keys", "take"]


def keys(examples: LabelledTexts) -> list[str]:
    """What tells the texts apart."""
    return [same_text(text) for text in examples.texts]


def take(examples: LabelledTexts, rows: Sequence[int]) -> LabelledTexts:
    """Some of the texts."""
    return examples.take(rows)


def answers(task: "TextClassifier", before: "TextClassifier", examples: LabelledTexts) -> Any:
    """The earlier model's probabilities, 0 of the classes that it does not know."""
    given: TextAnswers = before.answer(examples)
    return with_columns(given.probabilities, len(task.classes_))


def better(
    task: "TextClassifier", fresh: LinearModels | None, texts: Sequence[str], truth: NDArray[np.int64]
) -> LinearModels:
    """The linear models of the new texts or the earlier ones, whichever say more of the validation part.

    Args:
        fresh: None where the new texts lack a class.
        texts, truth: of the validation part, and their classes by number.
    """
    assert task.begun is not None
    before: Any = task.begun.model
    network = before.network_
    grown = [_grown(part, len(before.classes_), len(task.classes_)) for part in (network.ngrams, network.baseline)]
    carried = LinearModels(*grown)
    if fresh is None:
        return carried
    return min((carried, fresh), key=lambda models: _loss(models, texts, truth))


def _loss(models: LinearModels, texts: Sequence[str], truth: NDArray[np.int64]) -> float:
    return cross_entropy(models.log_probabilities(texts)[0], truth)


def _grown(model: NgramRegression, before: int, classes: int) -> NgramRegression:
    """The same with classes that it never answers, ``before`` being those that it knows."""
    if classes == before:
        return model
    weight, bias = model.weight, model.bias
    if len(weight) == 1:  # of the second class against the first
        weight, bias = (torch.cat([torch.zeros_like(part), part]) for part in (weight, bias))
    size = RegressionSize(model.size.kinds, model.size.terms, model.size.letters, classes)
    larger = NgramRegression(size)
    larger.terms.copy_(model.terms)
    larger.idf.copy_(model.idf)
    larger.weight.zero_()
    larger.weight[: len(weight)] = weight
    larger.bias.fill_(float(bias.min()) - NEVER)
    larger.bias[: len(bias)] = bias
    return larger
