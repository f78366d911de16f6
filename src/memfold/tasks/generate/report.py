"""How surprising each piece of a text is to a model."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from memfold.drawing import ColouredText
from memfold.page import Section
from memfold.words import Words

if TYPE_CHECKING:
    from memfold.tasks.generate.task import TextGenerator

__all__ = ["SHOWN_PIECES", "surprise", "surprise_section"]

SHOWN_PIECES = 300  # of a text on a page


def surprise(model: "TextGenerator", ids: NDArray[np.int64]) -> tuple[NDArray[np.float64], Tensor]:
    """The nats of every piece but the first, (T - 1,), and the network's logits after each piece, (T, V)."""
    pieces = torch.from_numpy(ids)[:, None]
    with torch.no_grad():
        logits = model.network_(pieces)[0][:, 0]
    by_network = -logits[:-1].log_softmax(-1).gather(1, pieces[1:])[:, 0]
    by_ngram = model.mixture_.ngram.nats(ids[None])[0]
    return model.mixture_.nats(by_network.double().numpy(), by_ngram), logits


def surprise_section(model: "TextGenerator", texts: Sequence[str], words: Words) -> list[Section]:
    """The beginning of the first text, in the colour of how surprising it is; none where no text has two pieces."""
    for text in texts:
        ids = model.vocabulary_.encode(text[: 20 * SHOWN_PIECES])[:SHOWN_PIECES]
        if len(ids) > 1:
            pieces = list(model.vocabulary_.pieces(ids.tolist()))
            model.network_.eval()
            drawn = ColouredText(pieces, np.r_[0.0, surprise(model, ids)[0]], words("nats"))
            return [(words("pieces"), words("pieces text"), drawn)]
    return []
