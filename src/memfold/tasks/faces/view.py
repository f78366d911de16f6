"""What a recogniser of faces makes of a picture."""

import torch
from torch import Tensor

from memfold.explain.explanation import Explanation
from memfold.tasks.faces import FaceRecognizer
from memfold.tasks.faces.network import FaceNetwork, embeddings_of
from memfold.tasks.vision.explained import explained_picture, one_picture
from memfold.words import Words

__all__ = ["view"]


def view(model: FaceRecognizer, source: str, words: Words) -> Explanation:
    """A picture as a recogniser of faces sees it; the gates are those of the picture, not of its mirror image."""
    pixels = one_picture(model, source)
    network: FaceNetwork = model.network_
    similarities = torch.from_numpy(model.embeddings(pixels.numpy()))[0] @ network.gallery.T
    best = int(similarities.argmax())
    similarity = similarities[best].item()
    person = model.enrolled_[best]
    nearest = network.gallery[best, : len(network.members) * network.embedding_size]  # without eigenfaces

    def score(pictures: Tensor) -> Tensor:
        return embeddings_of(network, pictures) @ nearest

    def alone(pictures: Tensor) -> Tensor:
        similar: Tensor = network(network.backbone.normaliser(pictures)) @ nearest
        return similar

    answer = words(
        "known" if similarity >= model.known_threshold_ else "unknown", person=person, share=f"{similarity:.3f}"
    )
    return explained_picture(model, source, answer, pixels, score, alone, words("score faces", person=person), words)
