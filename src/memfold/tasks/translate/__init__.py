"""Translation between two languages by an LSTM encoder and decoder with attention."""

from memfold.tasks.translate.task import Alignment, Translator

__all__ = ["Alignment", "Translator"]
