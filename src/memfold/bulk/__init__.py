"""A model's answers to many files, on this machine or on several, and to batches of rows."""

from memfold.bulk.predictor import Predictor

__all__ = ["Predictor"]
