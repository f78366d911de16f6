"""Writing: a token at a time, which needs no torch."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memfold.errors import InputError
from memfold.runtime.writing.mixture import Mixture
from memfold.runtime.writing.network import Reader

__all__ = ["Sampler"]


class Sampler:
    """Draws each next token from a language model.

    Args:
        reader: the model, a token at a time.
        temperature: divides the logits: below 1 bolder, above 1 wilder; 0 always takes the likeliest.
        top_k: draw from so many of the likeliest tokens only.
        top_p: draw from the likeliest tokens that make up this much of the probability (Holtzman et al. 2020).
        banned: tokens that are never drawn.
        mixture: of the network with an n-gram model; the network alone when None.

    Raises:
        InputError: an option out of its range.
    """

    def __init__(
        self,
        reader: Reader,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        banned: Sequence[int] = (),
        seed: int | Sequence[int] = 0,
        mixture: Mixture | None = None,
    ) -> None:
        if not temperature >= 0:
            raise InputError(f"temperature must be 0 or more, got {temperature}")
        if top_k is not None and top_k < 1:
            raise InputError(f"top_k must be at least 1, got {top_k}")
        if top_p is not None and not 0 < top_p <= 1:
            raise InputError(f"top_p must be above 0 and at most 1, got {top_p}")
        self.reader = reader
        self.temperature = temperature
        self.top_k = top_k
        self.top_p = top_p
        self.banned = list(banned)
        self.mixture = mixture
        self.random = np.random.default_rng(seed)

    def tokens(self, prompt: NDArray[np.int64]) -> Iterator[int]:
        """What follows a prompt of at least one token, without end."""
        self.reader.reset()
        for token in prompt[:-1]:
            self.reader.step(token)
        reach = 0 if self.mixture is None else self.mixture.ngram.order
        context = prompt[-max(reach, 1) :]
        while True:
            logits = self.reader.step(context[-1])
            token = self.choose(logits if self.mixture is None else self.mixture.log_probabilities(logits, context))
            yield token
            context = np.append(context, token)[-max(reach, 1) :]

    def choose(self, logits: NDArray[np.floating[Any]]) -> int:
        """Draw a token by its logits ``(V,)``."""
        logits = logits.astype(np.float64)
        logits[self.banned] = -np.inf
        if self.temperature == 0:
            return int(logits.argmax())
        order = np.argsort(-logits, kind="stable")
        scaled = (logits[order] - logits[order[0]]) / self.temperature
        probability = np.exp(scaled) / np.exp(scaled).sum()  # of the likeliest first
        keep = len(order) if self.top_k is None else self.top_k
        if self.top_p is not None:
            keep = min(keep, int(np.searchsorted(probability.cumsum(), self.top_p)) + 1)
        probability = probability[:keep] / probability[:keep].sum()
        return int(order[self.random.choice(len(probability), p=probability)])
