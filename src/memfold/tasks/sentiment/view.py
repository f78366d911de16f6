"""What a classifier makes of a text: where its attention lay, and what each word adds to the answer."""

from collections.abc import Sequence

import plotly.graph_objects as go
import torch
from torch import Tensor

from memfold.errors import InputError
from memfold.explain.explanation import Explanation, Picture, Shares, flow_of, shares_of_inputs
from memfold.explain.trace import traced
from memfold.explain.words import Words
from memfold.page import INK, styled
from memfold.tasks.sentiment import TextClassifier
from memfold.tasks.sentiment.influence import log_odds
from memfold.tasks.sentiment.network import TextNetwork, attention_weights
from memfold.tasks.sentiment.tokens import tokens
from memfold.tasks.text_source import text_of

__all__ = ["view"]

FEW = 40  # pieces that have room below a picture


def view(model: TextClassifier, source: str, words: Words) -> Explanation:
    """A text as a classifier reads it."""
    text = text_of(source)
    encoded = model.encoder_.encode([text])
    pieces = tokens(text)[: len(encoded.rows[0])]
    if not pieces:
        raise InputError("the text holds no word")
    batch = encoded.batch([0])
    network = model.network_
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
    if len(pieces) <= FEW:
        figure.update_xaxes(tickvals=list(range(len(pieces))), ticktext=list(pieces), tickangle=-60)
    figure.update_traces(customdata=list(pieces), hovertemplate="%{customdata}: %{y:.3f}<extra></extra>")
    return figure
