"""Units of a classifier that rise with one class of texts."""

from collections.abc import Sequence

import numpy as np

from memfold.errors import InputError
from memfold.explain.trace import traced
from memfold.explain.units import Follower, find_units
from memfold.tasks.sentiment import TextClassifier

__all__ = ["sentiment_units"]


def sentiment_units(model: TextClassifier, texts: Sequence[str], labels: Sequence[str]) -> dict[str, Follower]:
    """By layer, the unit whose mean output over a text separates two classes best.

    Args:
        texts: that the model was not fitted to; the unit is chosen on the first half and scored on the second.
        labels: two kinds; the second one in order is what the unit is to rise with.

    Raises:
        InputError: not two kinds of labels, or too few texts of one.
    """
    kinds = sorted(set(labels))
    if len(kinds) != 2:
        raise InputError(f"a probe separates two classes; there is {', '.join(kinds)}")
    means: dict[str, list[np.ndarray]] = {}
    for text in texts:
        batch = model.encoder_.encode([text]).batch([0])
        for name, layer in traced(model.network_, lambda batch=batch: model.network_(batch)).layers.items():  # type: ignore[misc]
            means.setdefault(name, []).append(layer.values["h"].sum(0) / max(len(layer.values["h"]), 1))
    feature = {"sentiment": np.array([float(label == kinds[1]) for label in labels])}
    candidates = {name: find_units(np.stack(rows), feature) for name, rows in means.items()}
    if not all(candidates.values()):
        raise InputError("too few texts of one class: five in either half are the least")
    return {name: followers[0] for name, followers in candidates.items()}
