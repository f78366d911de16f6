"""What a fit works on."""

from dataclasses import dataclass
from typing import Any

__all__ = ["FitData"]


@dataclass(frozen=True)
class FitData:
    """What a fit works on, as the task reads it.

    Attributes:
        whole: all that was given to train on.
        train: what the network is trained on; without ``valid``, a part of the whole.
        valid: what it is validated on.
        progress: whether what is done is said on standard error.
    """

    whole: Any
    train: Any
    valid: Any
    progress: bool = False
