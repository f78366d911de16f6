"""How long a training may take, as a person says it."""

import re
from dataclasses import dataclass

from memfold.errors import InputError

__all__ = ["Budget"]


@dataclass(frozen=True)
class Budget:
    """How long to train: seconds from the first step to the last, validation included, or passes over the data.

    With both, whichever ends first; a person gives one of them.

    >>> Budget.parse("3m"), Budget.parse("20ep")
    (Budget(seconds=180.0, epochs=None), Budget(seconds=None, epochs=20))
    """

    seconds: float | None = None
    epochs: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """Read ``90s``, ``3m``, ``1.5h`` or ``20ep``.

        Raises:
            InputError: the text is none of these, or not positive.
        """
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h|ep)", text.strip())
        if not match or float(match[1]) <= 0 or (match[2] == "ep" and "." in match[1]):
            raise InputError(
                f"budget {text!r}: expected a positive time such as 90s, 3m or 1.5h, or epochs such as 20ep"
            )
        if match[2] == "ep":
            return cls(epochs=int(match[1]))
        return cls(seconds=float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]])
