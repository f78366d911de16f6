"""Images: labelled ones in; the class of others out."""

from memfold.tasks.classify.task import ImageClassifier

__all__ = ["ImageClassifier"]
