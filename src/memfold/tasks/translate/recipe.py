"""A translator for other programs: an encoder of sentences, and a decoder that takes a word a step."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from memfold.formats.directory import SOURCE, TARGET
from memfold.runtime.recipe import Part, Recipe
from memfold.tasks.translate.answers import NEAREST
from memfold.tasks.translate.network import DecoderState, Memory, TranslationNetwork
from memfold.tasks.translate.search import LIMIT, NEVER_WRITTEN
from memfold.tasks.translate.subwords import BEGIN, END, UNKNOWN

if TYPE_CHECKING:
    from memfold.tasks.translate.task import Translator

__all__ = ["recipe"]

STATES = ("h", "c", "upper_h", "upper_c")  # of the decoder's first layer, and of those above it


class Encoded(nn.Module):
    """What the decoder is given of sentences."""

    def __init__(self, network: TranslationNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Values ``(B, S, H)``, what of them is padding ``(B, S)``, and the decoder's first h ``(1, B, H)``, from
        subwords ``(B, S)``."""
        memory = self.network.encode(source, lengths)
        return memory.values, memory.padding, memory.first[None]


class Decoded(nn.Module):
    """Log-probabilities of the next word, the state after the last one, and where the attention was."""

    def __init__(self, network: TranslationNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, values: Tensor, padding: Tensor, words: Tensor, h: Tensor, c: Tensor, upper_h: Tensor, upper_c: Tensor
    ) -> tuple[Tensor, ...]:
        """``(B, V)``, the four states, and ``(B, S)``, from the last words ``(B, 1)`` and the states ``(1, B, H)`` of
        the first layer and ``(L - 1, B, H)`` of those above."""
        state = DecoderState((h, c), (upper_h, upper_c))
        log_p, after, attention = self.network.step(Memory(values, padding, h[0]), words, state)
        return log_p, *after.first, *after.upper, attention


def recipe(task: "Translator") -> Recipe:
    """The encoder and the decoder; the subwords and the search are left to the caller, a translation memory is left
    out."""
    network = task.network_
    size = network.size

    def sentences(*lengths: int) -> dict[str, Any]:
        source = torch.randint(size.source_vocabulary, (len(lengths), max(lengths)))
        return {"source": source, "lengths": torch.tensor(lengths)}

    def states(*lengths: int) -> dict[str, Any]:
        B, S, H = len(lengths), max(lengths), size.hidden_size
        first, upper = torch.randn(2, 1, B, H).tanh(), torch.randn(2, size.decoder_layers - 1, B, H).tanh()
        padding = torch.arange(S)[None] >= torch.tensor(lengths)[:, None]
        words = torch.randint(size.target_vocabulary, (B, 1))
        given = {"values": torch.randn(B, S, H), "padding": padding, "words": words}
        return {**given, **dict(zip(STATES, (*first, *upper), strict=True))}

    lengths = (8, 3, 1), (5, 12), (1,)
    encoder, *other_sentences = [sentences(*each) for each in lengths]
    decoder, *other_states = [states(*each) for each in lengths]
    by_row = {name: {1: "batch"} for name in STATES}
    by_word = {0: "batch", 1: "source"}
    parts = [
        Part(
            "encoder",
            Encoded(network),
            encoder,
            {"source": by_word, "lengths": {0: "batch"}},
            ("values", "padding", "first"),
            others=other_sentences,
        ),
        Part(
            "decoder",
            Decoded(network),
            decoder,
            {"values": by_word, "padding": by_word, "words": {0: "batch"}, **by_row},
            ("log_probabilities", *(f"{name}_next" for name in STATES), "attention"),
            {f"{name}_next": name for name in STATES},
            other_states,
        ),
    ]
    around = {
        "subwords": {"source": SOURCE, "target": TARGET},
        "states": {"h": "first"},  # the encoder's output with which the decoder's h begins; the others begin with zeros
        "beam_search": {
            "begin": BEGIN,
            "end": END,
            "unknown": UNKNOWN,
            "never": NEVER_WRITTEN,
            "beam": task.beam,
            "length_penalty": task.length_penalty,
            "limit": {"times": LIMIT[0], "more": LIMIT[1]},
        },
    }
    left = []
    if task.memory_ is not None:
        shares = task.contest_.shares if task.contest_ is not None else {}
        answered = (
            f"; of the sentences it was validated on it answered {shares[NEAREST]:.0%}" if NEAREST in shares else ""
        )
        left.append(
            f"the translation memory, which answers sentences that are like one of its {len(task.memory_.source):,} by "
            f"{task.threshold_:g} or more{answered}"
        )
    none = "it reads sentences in both directions; the decoder of --to onnx takes a word a step"
    return Recipe(task.name, parts, around, task.fitted_files(), no_steps=none, left_out=left)
