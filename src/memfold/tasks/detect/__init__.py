"""Objects in images: images with boxes in; where which thing is, out."""

from memfold.tasks.detect.task import ObjectDetector

__all__ = ["ObjectDetector"]
