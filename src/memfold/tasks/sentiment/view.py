"""What a classifier makes of a text: where its attention lay, and what each word adds to the answer."""

from typing import Any

import torch
from torch import Tensor

from memfold.drawing import ColouredText
from memfold.errors import InputError
from memfold.explain.attribution import inputs_of, integrated_gradients, occlusion, substituted
from memfold.explain.explanation import Explanation, Picture, Shares, flow_of
from memfold.explain.trace import traced
from memfold.runtime.texts.tokens import tokens
from memfold.tasks.sentiment import TextClassifier
from memfold.tasks.sentiment.influence import blended, log_odds
from memfold.tasks.sentiment.network import TextNetwork, attention_weights
from memfold.tasks.text_source import text_of
from memfold.words import Words

__all__ = ["view"]


def view(model: TextClassifier, source: str, words: Words) -> Explanation:
    """A text as a classifier reads it."""
    text = text_of(source)
    encoded = model.encoder_.encode([text])
    pieces = tokens(text)[: len(encoded.rows[0])]
    if not pieces:
        raise InputError("the text holds no word")
    batch = encoded.batch([0])
    network = model.network_
    answer: dict[str, Any] = model.predict([text]).row(0, named=True)
    label = answer["label"]
    place = model.classes_.index(label)
    added, rest = (torch.from_numpy(part).float() for part in network.ngrams.linear.contributions(text))
    beyond = added[len(pieces) :].sum(0) + rest  # of tokens that the LSTMs do not read

    def blended_odds(linear: Tensor) -> Tensor:
        """Of the answer, by what the tokens add to the logits of the linear model, (T, C)."""
        by_network: Tensor = network(batch)
        return log_odds(blended(by_network[0], (linear.sum(0) + beyond).log_softmax(-1), model.blend_))[place]

    def run() -> Tensor:
        return blended_odds(added[: len(pieces)])

    trace = traced(network, run, lambda _, steps: pieces[:steps])
    with torch.no_grad():
        weights = torch.stack([_attention(member, batch.lengths, member.read(batch)) for member in network.networks])
    attention = ColouredText([f"{piece} " for piece in pieces], weights.mean(0)[0].double().numpy(), words("weight"))
    layers = [member.lstm for member in network.networks]
    x = inputs_of(layers, run)  # (T, all their I)
    both = torch.cat([x, added[: len(pieces)]], 1)  # what either half reads, side by side
    without = torch.cat([x.mean(0).expand_as(x), torch.zeros_like(added[: len(pieces)])], 1)

    def score(read: Tensor) -> Tensor:
        with substituted(layers, read[:, : x.shape[1]]):
            return blended_odds(read[:, x.shape[1] :])

    owed = integrated_gradients(score, both, without)
    methods = {
        "integrated gradients": owed.sum(1).numpy(),
        "occlusion": occlusion(score, both, without).numpy(),
    }
    alone = [half[place].exp().item() for half in _halves(model, text)]
    said = words(
        "score sentiment",
        label=label,
        lstms=f"{1 - model.blend_.share:.0%}",
        linear=f"{model.blend_.share:.0%}",
        by_lstms=f"{owed[:, : x.shape[1]].sum().item():+.2f}",
        by_linear=f"{owed[:, x.shape[1] :].sum().item():+.2f}",
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
        flow_of(network, run),
    )


def _halves(model: TextClassifier, text: str) -> tuple[Tensor, Tensor]:
    """The log-probabilities of either half of the answer alone, (C,): the LSTMs and the linear model."""
    with torch.no_grad():
        network = model.network_(model.encoder_.encode([text]).batch([0]))[0]
    return network, torch.from_numpy(model.labelling.ngrams.log_probabilities([text]))[0]


def _attention(member: TextNetwork, lengths: Tensor, h: Tensor) -> Tensor:
    return attention_weights(member.attention(h).squeeze(-1), lengths)
