"""What a language model makes of a text: how surprising each piece was, and units that follow something."""

import math

import numpy as np
import torch
from torch import Tensor

from memfold.drawing import ColouredText
from memfold.errors import InputError
from memfold.explain.explanation import Explanation, Picture, Shares, flow_of, shares_of_inputs
from memfold.explain.trace import LayerTrace, Trace, traced
from memfold.explain.units import find_units, text_features
from memfold.tasks.generate import TextGenerator
from memfold.tasks.generate.report import SHOWN_PIECES, surprise
from memfold.tasks.text_source import text_of
from memfold.words import Words

__all__ = ["view"]

SOUGHT = 5_000  # pieces at most in which units are sought
LIKELIEST = 5


def view(model: TextGenerator, source: str, words: Words) -> Explanation:
    """A text as a language model reads it."""
    text = text_of(source)
    ids = model.vocabulary_.encode(text)
    if len(ids) < 2:
        raise InputError("give the model a text of two characters at least")
    pieces = list(model.vocabulary_.pieces(ids[:SOUGHT].tolist()))
    network = model.network_
    shown = torch.from_numpy(ids[:SHOWN_PIECES])[:, None]
    by_ngram = model.mixture_.ngram.nats(ids[None, :SHOWN_PIECES])[0]
    share = model.mixture_.share

    def run() -> Tensor:
        logits: Tensor = network(shown[:-1])[0]
        by_network = logits[-1, 0].log_softmax(-1)[shown[-1, 0]]
        return ((1 - share) * by_network.exp() + share * math.exp(-by_ngram[-1])).log()

    whole = torch.from_numpy(ids[:SOUGHT])[:, None]
    trace = traced(network, lambda: network(whole), lambda _, steps: pieces[:steps])
    features = text_features(pieces)
    followers = {
        name: find_units({state: layer.values[state] for state in ("c", "h") if state in layer.values}, features)
        for name, layer in trace.layers.items()
    }
    trace = Trace({name: _shortened(layer) for name, layer in trace.layers.items()})
    nats, logits = surprise(model, ids[:SHOWN_PIECES])
    next_one = model.mixture_.log_probabilities(logits[-1].numpy(), ids[:SHOWN_PIECES])
    likeliest = np.argsort(-next_one)[:LIKELIEST].tolist()
    best = [
        f"{piece!r} {100 * math.exp(next_one[place]):.0f} %"
        for place, piece in zip(likeliest, model.vocabulary_.pieces(likeliest), strict=True)
    ]
    coloured = ColouredText(pieces[1 : len(shown)], nats, words("surprise"))
    mattered = shares_of_inputs([next(network.recurrent())], run)
    return Explanation(
        model.name,
        text[:SHOWN_PIECES],
        words("next", pieces=", ".join(best)),
        trace,
        next(iter(trace.layers)),
        "",
        [Picture(words("surprise"), words("surprise text"), coloured)],
        Shares(words("score generate"), pieces[: len(shown) - 1], mattered),
        flow_of(network, run),
        followers,
    )


def _shortened(layer: LayerTrace) -> LayerTrace:
    """The first steps of a layer that reads forwards."""
    values = {name: value[:SHOWN_PIECES] for name, value in layer.values.items()}
    return LayerTrace(layer.cell, layer.reverse, values, layer.start, layer.labels[:SHOWN_PIECES], layer.plain)
