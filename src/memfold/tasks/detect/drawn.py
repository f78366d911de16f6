"""Pictures with the boxes that were predicted."""

from memfold.tasks.vision.drawn import drawn

__all__ = ["drawn"]
