"""Classes of texts: labelled texts in; label and probabilities of others, and the words that decided, out."""

from memfold.tasks.sentiment.task import TextClassifier

__all__ = ["TextClassifier"]
