"""Trained models for other programs: ONNX, steps without a loop, and memfold's runtime."""
