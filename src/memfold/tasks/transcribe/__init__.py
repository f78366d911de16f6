"""The speech recogniser: acoustic model, search, and the task that binds them."""

from memfold.tasks.transcribe.task import SpeechRecognizer

__all__ = ["SpeechRecognizer"]
