"""Anomaly detection in streams of readings."""

from memfold.tasks.anomaly.detector import AnomalyDetector

__all__ = ["AnomalyDetector"]
