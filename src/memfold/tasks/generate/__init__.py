"""Text generation: a language model of characters or subwords, from plain text files."""

from memfold.tasks.generate.task import TextGenerator

__all__ = ["TextGenerator"]
