"""What a translator makes of a sentence: where the decoder looked, and what the translation owes to each word."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from memfold.drawing import Heat
from memfold.errors import InputError
from memfold.explain.explanation import Explanation, Picture, Shares, flow_of, shares_of
from memfold.explain.trace import traced
from memfold.tasks.text_source import text_of
from memfold.tasks.translate import Translator
from memfold.tasks.translate.batches import Pairs
from memfold.words import Words

__all__ = ["view"]


def view(model: Translator, source: str, words: Words) -> Explanation:
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
    corner = f"{words('target')} / {words('source')}"
    attention = Heat(target_pieces, source_pieces, np.asarray(alignment.attention, np.float64), corner=corner)
    return Explanation(
        model.name,
        text,
        model.predict([text])[0],
        trace,
        "encoder.l0",
        "",
        [Picture(words("attention"), words("attention text"), attention)],
        Shares(words("score translate"), source_pieces, shares_of(score, embedded)),
        flow_of(network, run),
    )


def _spaced(pieces: Sequence[str]) -> list[str]:
    """Subwords with sentencepiece's mark as the space it stands for."""
    return [piece.replace("▁", " ") for piece in pieces]
