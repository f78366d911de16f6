"""Models that read text: what they read piece by piece, coloured by a unit; attention; units that follow something."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import torch
from torch import Tensor

from memfold.data.datasets import names_set
from memfold.data.texts import read_text
from memfold.errors import InputError
from memfold.explain.explanation import Explanation, Picture, Shares, flow_of, shares_of, shares_of_inputs
from memfold.explain.trace import LayerTrace, Trace, traced
from memfold.explain.units import Follower, find_units, text_features
from memfold.explain.words import Words
from memfold.page import INK, styled
from memfold.tasks.generate import TextGenerator
from memfold.tasks.sentiment import TextClassifier
from memfold.tasks.sentiment.network import TextNetwork, attention_weights
from memfold.tasks.sentiment.telling import log_odds
from memfold.tasks.sentiment.tokens import tokens
from memfold.tasks.translate import Translator
from memfold.tasks.translate.batches import Pairs

__all__ = ["generate_view", "sentiment_units", "sentiment_view", "translate_view"]

SHOWN = 300  # pieces of a text that a report shows; units are sought in more of it
SOUGHT = 5_000  # pieces at most in which units are sought
LIKELIEST = 5


def text_of(source: str) -> str:
    """The text of a file, or the source itself where it is no file's name.

    Raises:
        InputError: there is nothing to read, or what looks like a file is not there.
    """
    if names_set(source):
        raise InputError(f"{source}: give a file or a text; a whole data set is not one input")
    if Path(source).is_file():
        text = read_text(source)
    elif " " not in source and (Path(source).suffix in (".txt", ".csv", ".tsv", ".jsonl", ".md") or "/" in source):
        raise InputError(f"{source}: no such file")
    else:
        text = source
    if not text.strip():
        raise InputError("there is no text to explain")
    return text


# -- generate ------------------------------------------------------------------------------------------------


def generate_view(model: TextGenerator, source: str, words: Words) -> Explanation:
    """A text as a language model reads it."""
    text = text_of(source)
    ids = model.vocabulary_.encode(text)
    if len(ids) < 2:
        raise InputError("give the model a text of two characters at least")
    pieces = list(model.vocabulary_.pieces(ids[:SOUGHT].tolist()))
    network, shown = model.network_, torch.from_numpy(ids[:SHOWN])[:, None]

    def run() -> Tensor:
        logits: Tensor = network(shown[:-1])[0]
        return logits[-1, 0].log_softmax(-1)[shown[-1, 0]]

    whole = torch.from_numpy(ids[:SOUGHT])[:, None]
    trace = traced(network, lambda: network(whole), lambda _, steps: pieces[:steps])
    features = text_features(pieces)
    followers = {name: find_units(layer.values["h"], features) for name, layer in trace.layers.items()}
    trace = Trace({name: _shortened(layer) for name, layer in trace.layers.items()})
    with torch.no_grad():
        log_p = network(shown)[0][:, 0].log_softmax(-1)
    nats = -log_p[:-1].gather(1, shown[1:])[:, 0]
    likeliest = log_p[-1].topk(min(LIKELIEST, log_p.shape[1])).indices.tolist()
    best = [repr(piece) for piece in model.vocabulary_.pieces(likeliest)]
    bars = go.Figure(go.Bar(x=list(range(1, len(shown))), y=nats.tolist(), marker_color=INK))
    figure = styled(bars, words("nats"), words("step"))
    figure.update_traces(customdata=pieces[1 : len(shown)], hovertemplate="%{customdata}: %{y:.2f}<extra></extra>")
    mattered = shares_of_inputs([next(network.recurrent())], run)
    return Explanation(
        model.name,
        text[:SHOWN],
        words("next", pieces=" ".join(best)),
        trace,
        next(iter(trace.layers)),
        "",
        [Picture(words("surprise"), words("surprise text"), figure)],
        Shares(words("score generate"), pieces[: len(shown) - 1], mattered),
        flow_of(network, run),
        followers,
    )


def _shortened(layer: LayerTrace) -> LayerTrace:
    """The first steps of a layer that reads forwards."""
    values = {name: value[:SHOWN] for name, value in layer.values.items()}
    return LayerTrace(layer.cell, layer.reverse, values, layer.start, layer.labels[:SHOWN], layer.plain)


# -- sentiment -----------------------------------------------------------------------------------------------


def sentiment_view(model: TextClassifier, source: str, words: Words) -> Explanation:
    """A text as a classifier reads it."""
    text = text_of(source)
    encoded = model.encoder_.encode([text])
    pieces = tokens(text)[: len(encoded.rows[0])]
    if not pieces:
        raise InputError("the text holds no word")
    batch, network = encoded.batch([0]), model.network_
    answer = model.predict([text]).row(0, named=True)
    place = model.classes_.index(answer["label"])

    def run() -> Tensor:
        log_p: Tensor = network(batch)
        return log_odds(log_p)[0, place]

    trace = traced(network, run, lambda _, steps: pieces[:steps])
    with torch.no_grad():
        weights = torch.stack([_attention(member, batch.lengths, member.read(batch)) for member in network.networks])
    figure = go.Figure(go.Bar(x=list(range(len(pieces))), y=weights.mean(0)[0].tolist(), marker_color=INK))
    figure = _with_pieces(styled(figure, words("weight"), ""), pieces)
    layers = [member.lstm for member in network.networks]
    return Explanation(
        model.name,
        text,
        f"{answer['label']}, {answer['p_' + answer['label']]:.3f}",
        trace,
        next(iter(trace.layers)),
        " ",
        [Picture(words("attention sentiment"), words("attention sentiment text"), figure)],
        Shares(words("score sentiment", label=answer["label"]), pieces, shares_of_inputs(layers, run)),
        flow_of(network, run),
    )


def _attention(member: TextNetwork, lengths: Tensor, h: Tensor) -> Tensor:
    return attention_weights(member.attention(h).squeeze(-1), lengths)


def _with_pieces(figure: go.Figure, pieces: Sequence[str]) -> go.Figure:
    """The pieces below the bars, as long as there is room for them."""
    if len(pieces) <= 40:
        figure.update_xaxes(tickvals=list(range(len(pieces))), ticktext=list(pieces), tickangle=-60)
    figure.update_traces(customdata=list(pieces), hovertemplate="%{customdata}: %{y:.3f}<extra></extra>")
    return figure


def sentiment_units(model: TextClassifier, texts: Sequence[str], labels: Sequence[str]) -> dict[str, Follower]:
    """By layer, the unit whose mean output over a text tells one class of two best.

    Args:
        texts: that the model was not fitted to; the unit is chosen on the first half and scored on the second.
        labels: two kinds; the second one in order is what the unit is to rise with.

    Raises:
        InputError: not two kinds of labels, or too few texts of one.
    """
    kinds = sorted(set(labels))
    if len(kinds) != 2:
        raise InputError(f"a probe tells two classes apart; there is {', '.join(kinds)}")
    means: dict[str, list[np.ndarray]] = {}
    for text in texts:
        batch = model.encoder_.encode([text]).batch([0])
        for name, layer in traced(model.network_, lambda batch=batch: model.network_(batch)).layers.items():  # type: ignore[misc]
            means.setdefault(name, []).append(layer.values["h"].sum(0) / max(len(layer.values["h"]), 1))
    feature = {"sentiment": np.array([float(label == kinds[1]) for label in labels])}
    found = {name: find_units(np.stack(rows), feature) for name, rows in means.items()}
    if not all(found.values()):
        raise InputError("too few texts of one class: five in either half are the least")
    return {name: followers[0] for name, followers in found.items()}


# -- translate -----------------------------------------------------------------------------------------------


def translate_view(model: Translator, source: str, words: Words) -> Explanation:
    """A sentence and its translation."""
    text = text_of(source).strip().splitlines()[0]
    (alignment,) = model.align([text])
    if not alignment.source:
        raise InputError("the sentence is empty")
    network = model.network_
    pairs = Pairs.of([model.source_subwords_.encode(text)], [model.target_subwords_.piece_to_id(alignment.target[:-1])])
    source_pieces, target_pieces = (_spaced(pieces) for pieces in (alignment.source, alignment.target))

    def run() -> Tensor:
        memory = network.encode(pairs.source, pairs.source_lengths)
        features, _, _ = network.decode(memory, pairs.words, network.begin(memory))
        return network.logits(features[0]).log_softmax(-1).gather(1, pairs.target[0][:, None]).sum()

    read = [" ", *target_pieces[:-1]]  # the decoder reads the word before
    embedded = network.source_embedding(pairs.source)[0].detach()  # (S, E)

    def score(x: Tensor) -> Tensor:
        """Of another source; the attention reads the embedding too, besides the encoder."""
        handle = network.source_embedding.register_forward_hook(lambda *_: x[None])
        try:
            return run()
        finally:
            handle.remove()

    trace = traced(network, run, lambda path, steps: (source_pieces if path == "encoder" else read)[:steps])
    x, y = (_unlike(pieces) for pieces in (source_pieces, target_pieces))
    figure = go.Figure(go.Heatmap(x=x, y=y, z=alignment.attention.tolist(), colorscale="Blues", zmin=0, zmax=1))
    styled(figure, words("target"), words("source")).update_yaxes(autorange="reversed")
    figure.update_layout(height=max(420, 24 * len(y) + 120), hovermode="closest")
    return Explanation(
        model.name,
        text,
        model.predict([text])[0],
        trace,
        "encoder.l0",
        "",
        [Picture(words("attention"), words("attention text"), figure)],
        Shares(words("score translate"), source_pieces, shares_of(score, embedded)),
        flow_of(network, run),
    )


def _spaced(pieces: Sequence[str]) -> list[str]:
    """Subwords with sentencepiece's mark as the space it stands for."""
    return [piece.replace("▁", " ") for piece in pieces]


def _unlike(pieces: Sequence[str]) -> list[str]:
    """Names of an axis, on which the same name twice would be one place."""
    return [piece + "\u200b" * pieces[:place].count(piece) for place, piece in enumerate(pieces)]
