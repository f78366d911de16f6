"""What a person may choose of a detector, by name; and what its pictures must be."""

from typing import Literal

from memfold.data.layouts import Layout

__all__ = ["MULTIPLE", "Flips", "Head", "Layout"]

MULTIPLE = 16  # of which height and width of what the network sees must be

Flips = Literal["none", "horizontal", "all"]  # how images may be mirrored in training
Head = Literal["centres", "sequence"]  # what finds the boxes
