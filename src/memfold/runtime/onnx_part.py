"""A part of a model as a file of ONNX, which ONNX Runtime computes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.recipe import Run

__all__ = ["PartStream", "run_of"]


def run_of(model: bytes | Path) -> Run:
    """The function of arrays that a file of ONNX, or its content, holds."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its errors are raised
    given = str(model) if isinstance(model, Path) else model
    session = onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    known = {entry.name for entry in session.get_inputs()}  # one that nothing reads is not in the file

    def run(**inputs: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        results = session.run(names, {name: value for name, value in inputs.items() if name in known})
        return dict(zip(names, results, strict=True))

    return run


class PartStream:
    """A part with one recurrent layer, such as a detector's network, step by step as a `memfold.stream.Stream` goes.

    Args:
        run: takes ``x (T, B, F)`` and the state ``h`` and ``c (1, B, H)``; gives outputs and then ``h_next`` and
            ``c_next``.
        hidden_size: H.
    """

    def __init__(self, run: Run, hidden_size: int) -> None:
        self.run = run
        self.h, self.c = np.zeros((2, 1, 1, hidden_size), np.float32)

    def step(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """The outputs of a step ``(F,)`` side by side."""
        given = np.asarray(x, np.float32)[None, None]
        outputs = dict(self.run(x=given, h=self.h, c=self.c))
        self.h, self.c = outputs.pop("h_next"), outputs.pop("c_next")
        return np.concatenate([output[0, 0] for output in outputs.values()])
