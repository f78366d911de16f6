"""Translation between two languages by an LSTM encoder and decoder with attention."""

from memfold.tasks.translate.answers import Alignment
from memfold.tasks.translate.task import Translator

__all__ = ["Alignment", "Translator"]
