"""A model that answers to batches of rows, as programs that cut data into batches call it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from memfold.bulk.loading import fingerprint_of, loaded
from memfold.errors import InputError

__all__ = ["Predictor"]


class Predictor:
    """A callable over batches of rows, for Ray Data, Spark and others.

    It can be pickled; the model is loaded where it is called, once in a process. Rows that belong together, such as
    those of a series, must be in one batch.

    Args:
        model: folder of a model, which every process can read.

    Raises:
        InputError: the folder holds no model.

    >>> import tempfile, polars as pl
    >>> from memfold.tasks import Forecaster
    >>> frame = pl.DataFrame({"ds": range(40), "y": [1.0, 2.0] * 20})
    >>> fitted = Forecaster(horizon=2, seasons=(2,), hidden_size=4).fit(frame, budget="1ep", progress=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fitted.save(folder)
    ...     answers = Predictor(folder)({"ds": frame["ds"].to_numpy(), "y": frame["y"].to_numpy()})
    >>> answers["ds"].tolist()
    [40, 41]
    """

    def __init__(self, model: str | Path) -> None:
        self.model = str(Path(model).absolute())
        self.fingerprint = fingerprint_of(Path(self.model))

    def __call__(self, batch: Any) -> Any:
        """Answers to the rows of a batch.

        Args:
            batch: a data frame (pandas, Polars, PyArrow ...), or arrays by their columns' names, each as long as the
                batch: numbers or texts ``(N,)``; images ``(N, H, W)`` or ``(N, H, W, C)`` and recordings ``(N, T)``
                stand in a column of their own, the only one of its kind.

        Returns:
            What the task's `predict` gives, as the batch was given: a frame of its kind, or arrays by name.

        Raises:
            InputError: rows that the model cannot work with.
        """
        task = loaded(self.model, self.fingerprint)
        if not isinstance(batch, Mapping):
            return task.predict(batch)
        import polars as pl

        wide = [name for name, values in batch.items() if getattr(values, "ndim", 1) > 1]
        if not wide:
            return _arrays(task.predict(pl.DataFrame({name: _column(name, values) for name, values in batch.items()})))
        if len(wide) > 1:
            raise InputError(f"the batch has several columns of arrays, {', '.join(wide)}; give one")
        answers = task.predict(batch[wide[0]])
        beside = {name: values for name, values in batch.items() if name != wide[0]}
        return {**beside, **_arrays(answers)}


def _column(name: str, values: Any) -> Any:
    """An array as a column of a frame: an array of objects holds texts."""
    import polars as pl

    return pl.Series(name, values.tolist() if getattr(values, "dtype", np.dtype(float)).hasobject else values)


def _arrays(frame: Any) -> dict[str, Any]:
    return {column.name: column.to_numpy() for column in frame}
