"""Trained models for other programs: ONNX, steps without a loop, and memfold's runtime."""

from memfold.export.exporting import Export, export

__all__ = ["Export", "export"]
