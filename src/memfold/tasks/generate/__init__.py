"""Text generation: a language model of characters or subwords, from plain text files."""

from memfold.tasks.generate.generator import TextGenerator

__all__ = ["TextGenerator"]
