"""What a classifier makes of a text: where its attention lay, and what each word adds to the answer."""

from typing import Any

import torch
from torch import Tensor

from memfold.drawing import ColouredText
from memfold.errors import InputError
from memfold.explain.attribution import occlusion
from memfold.explain.explanation import Explanation, Picture, Shares, flow_of
from memfold.explain.trace import traced
from memfold.tasks.sentiment import TextClassifier
from memfold.tasks.sentiment.halves import TextScore
from memfold.tasks.sentiment.network import TextNetwork, attention_weights
from memfold.tasks.text_source import text_of
from memfold.words import Words

__all__ = ["view"]


def view(model: TextClassifier, source: str, words: Words) -> Explanation:
    """A text as a classifier reads it."""
    text = text_of(source)
    answer: dict[str, Any] = model.predict([text]).row(0, named=True)
    label = answer["label"]
    if label is None:
        raise InputError("the text holds no word")
    place = model.classes_.index(label)
    score = TextScore(model, text, place)
    network, pieces = model.network_, score.pieces
    trace = traced(network, score.run, lambda _, steps: pieces[:steps])
    with torch.no_grad():
        batch = score.batch
        weights = torch.stack([_attention(member, batch.lengths, member.read(batch)) for member in network.networks])
    attention = ColouredText([f"{piece} " for piece in pieces], weights.mean(0)[0].double().numpy(), words("weight"))
    by_lstms, by_linear = score.owed()
    methods = {
        "integrated gradients": by_lstms + by_linear,
        "occlusion": occlusion(score, score.read, score.without).numpy(),
    }
    alone = [half[place].exp().item() for half in _halves(model, text)]
    said = words(
        "score sentiment",
        label=label,
        lstms=f"{1 - model.blend_.share:.0%}",
        linear=f"{model.blend_.share:.0%}",
        by_lstms=f"{by_lstms.sum():+.2f}",
        by_linear=f"{by_linear.sum():+.2f}",
        p_lstms=f"{alone[0]:.3f}",
        p_linear=f"{alone[1]:.3f}",
    )
    return Explanation(
        model.name,
        text,
        f"{label}, {answer['p_' + label]:.3f}",
        trace,
        next(iter(trace.layers)),
        " ",
        [Picture(words("attention sentiment"), words("attention sentiment text"), attention)],
        Shares(said, pieces, methods),
        flow_of(network, score.run),
    )


def _halves(model: TextClassifier, text: str) -> tuple[Tensor, Tensor]:
    """The log-probabilities of either half of the answer alone, (C,): the LSTMs and the linear model."""
    with torch.no_grad():
        network = model.network_(model.encoder_.encode([text]).batch([0]))[0]
    return network, torch.from_numpy(model.labelling.ngrams.log_probabilities([text]))[0]


def _attention(member: TextNetwork, lengths: Tensor, h: Tensor) -> Tensor:
    return attention_weights(member.attention(h).squeeze(-1), lengths)
