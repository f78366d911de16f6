"""The TextGenerator: fit a language model to text, write on from a prompt, score beside an n-gram model."""

import hashlib
import math
import time as clock
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from rich.text import Text
from torch import nn

from memfold.data.datasets import names_set
from memfold.errors import InputError
from memfold.formats.directory import TOKENS
from memfold.stream import Stream
from memfold.tasks.base import Parts, Report, Task
from memfold.tasks.generate.network import LanguageModel, ModelSize
from memfold.tasks.generate.sampling import Sampler
from memfold.tasks.generate.texts import joined, known_parts, split, without_blocks
from memfold.tasks.generate.vocabulary import Characters, Subwords, Vocabulary
from memfold.tasks.generate.windows import TextProblem, nats_apart, nats_carried, windows_of
from memfold.tasks.ngram import NGram
from memfold.training import Budget, Settings

__all__ = ["TextGenerator"]

WINDOW = 256  # of the protocol that reads windows from a zero state
SAMPLE = 300  # tokens that are shown after a fit


class TextGenerator(Task):
    """Writes text as it has read it, by the character or by subwords, in any language.

    Args:
        tokens: "characters", or "subwords" of sentencepiece.
        vocabulary_size: how many subwords.
        embedding_size: features of a token.
        hidden_size: units of each LSTM layer.
        num_layers: layers.
        dropout: on embeddings, between layers and before the head, one mask a window (Gal & Ghahramani 2016).
        weight_drop: dropout of hidden-to-hidden weights (Merity, Keskar & Socher 2018).
        tied: one matrix for embedding and head (Press & Wolf 2017).
        coupled: f = 1 - i (Greff et al. 2017), which leaves three gates to compute instead of four.
        window: tokens that a gradient goes back.
        batch_size: places in the text that are read side by side.
        lr: peak learning rate.
        patience: stop after so many of the 20 validations without a better one; None uses the whole budget.
        seed: of the initial weights, the cuts of the text and dropout.

    >>> model = TextGenerator(hidden_size=32, batch_size=4, window=8).fit("abcd" * 200, budget="8ep", progress=False)
    >>> "".join(model.generate("ab", length=6, temperature=0))
    'cdabcd'
    """

    name: ClassVar[str] = "generate"
    network_: LanguageModel

    def __init__(
        self,
        tokens: Literal["characters", "subwords"] = "characters",
        vocabulary_size: int = 2000,
        embedding_size: int = 64,
        hidden_size: int = 512,
        num_layers: int = 1,
        dropout: float = 0.1,
        weight_drop: float = 0.0,
        tied: bool = False,
        coupled: bool = True,
        window: int = 64,
        batch_size: int = 32,
        lr: float = 4e-3,
        patience: int | None = None,
        seed: int = 0,
    ) -> None:
        self.tokens = tokens
        self.vocabulary_size = vocabulary_size
        self.embedding_size = embedding_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.dropout = dropout
        self.weight_drop = weight_drop
        self.tied = tied
        self.coupled = coupled
        self.window = window
        self.batch_size = batch_size
        self.lr = lr
        self.patience = patience
        self.seed = seed

    # -- reading ---------------------------------------------------------------------------------------------

    def read(self, data: str | Path | Sequence[str]) -> str:
        """A text: itself, that of a file (a ``Path``), or those of several files, one after another.

        Raises:
            InputError: a file that cannot be read; names it and the line.
        """
        if isinstance(data, Path):
            return joined([data])
        return data if isinstance(data, str) else joined(data)

    def parts(self, data: Sequence[str]) -> Parts:
        known = self.known_set(data)
        train, test = known_parts(known.name) if known else split(joined(data))
        return Parts(train, test, scoring={"train": train})

    def read_files(self, paths: Sequence[str]) -> str:
        return joined(paths)

    # -- fitting ---------------------------------------------------------------------------------------------

    def fit(
        self,
        data: str | Path | Sequence[str],
        budget: str = "3m",
        valid: str | Path | Sequence[str] | None = None,
        *,
        out: str | Path | None = None,
        resume: bool = False,
        progress: bool = True,
    ) -> Self:
        """Fit the model to a text.

        Args:
            data: the text itself; or its file, as a ``Path``, or a list of names of files.
            budget: minutes of training such as ``3m``, or epochs such as ``20ep``.
            valid: a text to validate on; ten blocks from all over the text, a twentieth of it at most, when None.
            out: folder in which to keep a checkpoint.
            resume: go on from the checkpoint there.
            progress: show it on standard error.

        Raises:
            InputError: a text or parameters that cannot be worked with.
        """
        limit = Budget.parse(budget)
        self._check()
        text = self.read(data)
        learn, tuning = without_blocks(text) if valid is None else (text, self.read(valid))
        self.vocabulary_: Vocabulary = (
            Characters.of(learn) if self.tokens == "characters" else Subwords.of(learn, self.vocabulary_size)
        )
        learnt = torch.from_numpy(self.vocabulary_.encode(learn))
        kept = torch.from_numpy(self.vocabulary_.encode(tuning))
        if len(kept) < 2:
            raise InputError(f"the text has {len(text)} characters: too few to learn from and to validate on")
        self.counts_ = torch.bincount(learnt, minlength=self.vocabulary_.size).tolist()
        torch.manual_seed(self.seed)
        network = LanguageModel(self._size())
        problem = TextProblem(network, learnt, kept, self.batch_size, self.window, self.seed, self.tokens)
        settings = Settings(limit, lr=self.lr, patience=self.patience)
        digest = hashlib.sha256(learnt.numpy().tobytes() + kept.numpy().tobytes()).hexdigest()
        identity = {"budget": budget, "data": digest}
        self._train(problem, settings, identity, None if out is None else Path(out), resume, progress)
        return self

    def _check(self) -> None:
        ones = ("vocabulary_size", "embedding_size", "hidden_size", "num_layers", "window", "batch_size")
        self._check_least(dict.fromkeys(ones, 1))
        for name in ("dropout", "weight_drop"):
            if not 0 <= (value := getattr(self, name)) < 1:
                raise InputError(f"{name} must be at least 0 and below 1, got {value}")

    def _size(self) -> ModelSize:
        return ModelSize(
            self.vocabulary_.size,
            self.embedding_size,
            self.hidden_size,
            self.num_layers,
            self.dropout,
            self.weight_drop,
            self.tied,
            self.coupled,
        )

    # -- writing ---------------------------------------------------------------------------------------------

    def generate(
        self,
        prompt: str = "",
        length: int = 500,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> Iterator[str]:
        """Write on from a prompt, piece by piece.

        Args:
            prompt: the text so far; a line's end when empty.
            length: tokens to write.
            temperature: below 1 bolder, above 1 wilder; 0 always takes the likeliest token.
            top_k: draw from so many of the likeliest tokens only.
            top_p: draw from the likeliest tokens that make up this much of the probability.
            seed: of the draws; the model's own when None.

        Raises:
            InputError: not fitted, or an option out of its range.
        """
        self._check_fitted()
        if length < 1:
            raise InputError(f"length must be at least 1, got {length}")
        layers = [own for layer in self.network_.recurrent() for own in layer.stream().layers]
        head = {name: weight.detach().numpy() for name, weight in self.network_.head_on_hidden().items()}
        sampler = Sampler(
            Stream(layers, head),
            self.network_.embedding.weight.detach().numpy(),
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            banned=self.vocabulary_.unknown,
            seed=self.seed if seed is None else seed,
        )
        start = self.vocabulary_.encode(prompt or self._beginning())
        return self.vocabulary_.pieces(islice(sampler.tokens(start), length))

    def _beginning(self) -> str:
        """What to write on from when nothing is given: a line's end, or else the commonest token."""
        line_end = self.vocabulary_.encode("\n")
        known = self.counts_[line_end[-1]] > 0 and line_end[-1] not in self.vocabulary_.unknown
        return "\n" if known else self.vocabulary_.decode(np.array([np.argmax(self.counts_)]))

    def answers(
        self,
        inputs: Sequence[str],
        prompt: str = "",
        length: int = 500,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> Iterator[str]:
        """What follows the files' text and the prompt, both of which come first."""
        if inputs and names_set(inputs[0]):
            raise InputError(f"{inputs[0]}: a generator goes on from files and --set prompt=TEXT, not from a data set")
        given = (joined(inputs) if inputs else "") + prompt
        return chain([given], self.generate(given, length, temperature, top_k, top_p, seed), ["\n"])

    def respond(self, line: str) -> Iterator[str]:
        return chain([line], self.generate(line))

    def next_command(self, out: Path, data: Sequence[str]) -> str:
        return f"memfold predict {out} --set prompt='Once upon a time' writes on"

    # -- scores ----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def evaluate(self, data: str | Path | Sequence[str], name: str = "", train: str | None = None) -> Report:
        """Score the model on a text beside an n-gram model.

        Args:
            data: as for `fit`.
            name: what to call it in the report.
            train: the text that the n-gram model counts; without one, only single tokens are counted, those of the
                model's own training.

        Returns:
            Nats per character, read through with carried state, the same in bits, and in windows of 256 tokens that
            start from a zero state; perplexity is per token.

        Raises:
            InputError: not fitted, or a text of fewer than two tokens.
        """
        self._check_fitted()
        begun = clock.monotonic()
        text = self.read(data)
        tokens = self.vocabulary_.encode(text)
        if len(tokens) < 2:
            raise InputError(f"the text to score has {len(text)} characters; two are the least")
        characters = len(text) / len(tokens)  # a token
        self.network_.eval()
        numbers = torch.from_numpy(tokens)
        carried = float(nats_carried(self.network_, numbers[:, None]).mean())
        window = min(WINDOW, len(tokens) - 1)
        apart = float(nats_apart(self.network_, numbers, window).mean())
        metrics = _scores(carried, apart, characters)
        if train is None:
            ngram, label = NGram.of_counts(np.array(self.counts_)), "1-gram"
        else:
            ngram = NGram.fitted(self.vocabulary_.encode(train), self.vocabulary_.size)
            label = f"{ngram.order}-gram"
        apart = float(ngram.nats(windows_of(numbers, window).t().numpy()).mean())
        baseline = _scores(float(ngram.nats(tokens[None]).mean()), apart, characters)
        shown = [Text("".join(self.generate(length=SAMPLE)))]
        seconds = clock.monotonic() - begun
        return Report(self.name, name, metrics, {label: baseline}, self.parameter_count, self.seed, seconds, shown)

    # -- models on disk --------------------------------------------------------------------------------------

    @classmethod
    def fitted_types(cls) -> dict[str, Any]:
        return {"characters": str | None, "counts": list[int]}

    def fitted_state(self) -> dict[str, Any]:
        characters = self.vocabulary_.characters if isinstance(self.vocabulary_, Characters) else None
        return {"characters": characters, "counts": self.counts_}

    def fitted_files(self) -> dict[str, bytes]:
        return {TOKENS: self.vocabulary_.model} if isinstance(self.vocabulary_, Subwords) else {}

    def restore_files(self, files: dict[str, bytes]) -> None:
        if TOKENS in files:
            self.vocabulary_ = Subwords(files[TOKENS])

    def restore_fitted(self, state: dict[str, Any]) -> nn.Module:
        if state["characters"] is not None:
            self.vocabulary_ = Characters(state["characters"])
        self.counts_ = state["counts"]
        self._check_agree(("counts", len(self.counts_), self.vocabulary_.size))
        return LanguageModel(self._size())


def _scores(carried: float, apart: float, characters: float) -> dict[str, float]:
    """By flat name, from nats per token, and characters per token."""
    return {
        "nats_carried": carried / characters,
        "nats_window256": apart / characters,
        "bits_carried": carried / characters / math.log(2),
        "perplexity": math.exp(carried),
    }
