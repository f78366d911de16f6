from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

class Packed: ...

def pack(
    kind: int,
    half: bool,
    weight_ih: NDArray[Any] | None,
    weight_hh: NDArray[Any] | None,
    bias_ih: NDArray[Any] | None,
    bias_hh: NDArray[Any] | None,
    weight_ph: NDArray[Any] | None,
    hidden: int,
) -> Packed: ...
def fold(
    directions: Sequence[Packed],
    reverse: bool,
    size: tuple[int, int],
    x: int,
    x_strides: tuple[int, int],
    h_first: int,
    c_first: int,
    h_last: int,
    c_last: int,
    y: int,
    y_strides: tuple[int, int],
    kept: int,
    lengths: int,
    resets: int,
    resets_strides: tuple[int, int],
    clip: float,
    zoneout_h: float,
    zoneout_c: float,
    threads: int,
) -> None: ...

class StackFloat:
    def __init__(self, streams: int) -> None: ...
    def add(self, layer: Packed, clip: float, zoneout_h: float, zoneout_c: float) -> None: ...
    def step(self, x: object, y: object) -> bool: ...
    def get(self, level: int, cell: bool, to: NDArray[Any]) -> None: ...
    def set(self, level: int, cell: bool, values: NDArray[Any]) -> None: ...
    def reset(self, stream: int) -> None: ...

class StackDouble(StackFloat): ...

def isa() -> str: ...
def set_step_threads(threads: int) -> None: ...
def borrow_openmp() -> None: ...
def fingerprint(arrays: Sequence[tuple[int, int]]) -> int: ...
def spend_operations(rounds: int) -> float: ...
