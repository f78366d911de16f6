"""Anomaly detection in streams of readings."""

from memfold.tasks.anomaly.task import AnomalyDetector

__all__ = ["AnomalyDetector"]
