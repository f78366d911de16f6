"""An n-gram model as buffers of a network, so that it is stored with the weights; the runtime reads it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from memfold.runtime.ngram import NGram

__all__ = ["StoredNGram"]


class StoredNGram(nn.Module):
    """An n-gram model as buffers.

    Args:
        sizes: grams of each length.
    """

    def __init__(self, sizes: Sequence[int], vocabulary: int) -> None:
        super().__init__()
        self.vocabulary, self.order = vocabulary, len(sizes)
        token = torch.uint16 if vocabulary <= np.iinfo(np.uint16).max else torch.int32
        for length, (size, contexts) in enumerate(zip(sizes, [1, *sizes], strict=False), 1):
            self.register_buffer(f"tokens{length}", torch.zeros(size, dtype=token))
            self.register_buffer(f"weights{length}", torch.zeros(size, dtype=torch.float16))
            self.register_buffer(f"children{length}", torch.zeros(contexts, dtype=torch.int32))

    @classmethod
    def of(cls, ngram: NGram) -> "StoredNGram":
        """The buffers of a model."""
        stored = cls(ngram.sizes, ngram.vocabulary)
        for length, part in enumerate(ngram.packed(), 1):
            for name in ("tokens", "weights", "children"):
                buffer = stored.get_buffer(f"{name}{length}")
                values: NDArray[Any] = getattr(part, name)
                buffer.copy_(torch.from_numpy(values.astype(buffer.numpy().dtype)))
        return stored
