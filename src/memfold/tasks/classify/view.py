"""What a classifier makes of a picture."""

from torch import Tensor

from memfold.explain.explanation import Explanation
from memfold.tasks.classify import ImageClassifier
from memfold.tasks.vision.explained import explained_picture, log_odds_of, one_picture
from memfold.words import Words

__all__ = ["view"]


def view(model: ImageClassifier, source: str, words: Words) -> Explanation:
    """A picture as a classifier sees it."""
    pixels = one_picture(model, source)
    network = model.network_
    (probabilities,) = model.probabilities(pixels.numpy())
    best = int(probabilities.argmax())
    label = model.classes_[best]

    def score(pictures: Tensor) -> Tensor:
        return log_odds_of(network(network.backbone.normaliser(pictures)), best)

    answer = f"{label}, {probabilities[best]:.3f}"
    return explained_picture(model, source, answer, pixels, score, score, words("score classify", label=label), words)
