"""Faces: pictures of some people in; who is on others, or whether two show the same person, out."""

from memfold.tasks.faces.task import FaceRecognizer

__all__ = ["FaceRecognizer"]
