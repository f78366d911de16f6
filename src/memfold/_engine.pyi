from typing import Any

from numpy.typing import NDArray

def lstm_fold(
    x: NDArray[Any],
    weight_ih: NDArray[Any],
    weight_hh: NDArray[Any],
    bias: NDArray[Any],
    h: NDArray[Any],
    c: NDArray[Any],
    y: NDArray[Any],
) -> None: ...
