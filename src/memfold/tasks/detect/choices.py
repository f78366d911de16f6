"""What a person may choose of a detector, by name."""

from typing import Literal

from memfold.data.layouts import Layout

__all__ = ["Flips", "Head", "Layout"]

Flips = Literal["none", "horizontal", "all"]  # how images may be mirrored in training
Head = Literal["centres", "sequence"]  # what finds the boxes
