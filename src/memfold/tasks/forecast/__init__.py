"""Forecasting: long tables of series in, quantiles of their next values out."""

from memfold.tasks.forecast.task import Forecaster

__all__ = ["Forecaster"]
