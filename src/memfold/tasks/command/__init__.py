"""Spoken commands: recordings of each in; which one is said, or when it is heard in a running input, out."""

from memfold.tasks.command.task import CommandRecognizer

__all__ = ["CommandRecognizer"]
