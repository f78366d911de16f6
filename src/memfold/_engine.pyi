from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Names = tuple[str, ...]

def cells() -> list[tuple[str, Names, Names, Names, int]]: ...

class Packed: ...

Addresses = tuple[int, int, int, int, int]

def pack(cell: str, is_double: bool, half: bool, widths: tuple[int, int], weights: Addresses) -> Packed: ...

class Call:
    def __init__(
        self,
        reverse: bool,
        size: tuple[int, int],
        x: int,
        x_strides: tuple[int, int],
        first: Sequence[int],
        y: int,
        y_strides: tuple[int, int],
        kept: int,
        lengths: int,
        resets: int,
        resets_strides: tuple[int, int],
        mask: int,
        zones: Sequence[int],
        clip: float,
        zoneout: Sequence[float],
        y_rounded: bool = False,
    ) -> None: ...

def fold(directions: Sequence[Packed], call: Call, last: Sequence[int], threads: int) -> None: ...
def fold_backward(
    call: Call,
    cell: str,
    is_double: bool,
    half: bool,
    widths: tuple[int, int],
    weights: Sequence[Addresses],
    gradients: Sequence[Addresses],
    dy: int,
    dy_strides: tuple[int, int],
    d_last: Sequence[int],
    d_first: Sequence[int],
    dx: int,
    dx_strides: tuple[int, int],
    threads: int,
) -> None: ...

class RowCall:
    def __init__(
        self,
        size: tuple[int, int, int, int, int],
        kind: tuple[bool, bool, bool, bool],
        by_x: Packed | None,
        by_h: Packed | None,
        projection: Packed | None,
        clip: float,
        zoneout: Sequence[float],
        lengths: int,
        resets: int,
        resets_strides: tuple[int, int],
        x_strides: tuple[int, int],
        read: Sequence[int],
        state: Sequence[int],
        kept: Sequence[int],
    ) -> None: ...

def fold_rows(call: RowCall, threads: int) -> None: ...
def fold_rows_backward(call: RowCall, gradients: Sequence[int], threads: int) -> None: ...
def product(linear: Packed, x: object, y: object, rows: int) -> bool: ...

class StackFloat:
    def __init__(self, streams: int) -> None: ...
    def add(self, layer: Packed, clip: float, zoneout: Sequence[float]) -> None: ...
    def step(self, x: object, y: object) -> bool: ...
    def step_rows(self, rows: NDArray[np.int64], x: object, y: object) -> bool: ...
    def get(self, level: int, part: int, to: NDArray[Any], first: int = 0) -> None: ...
    def set(self, level: int, part: int, values: NDArray[Any], first: int = 0) -> None: ...
    def reset(self, stream: int) -> None: ...

class StackDouble(StackFloat): ...

class OptimizerFloat:
    def __init__(
        self,
        tensors: Sequence[tuple[int, int, int, int]],
        counts: Sequence[int],
        decay: tuple[float, float, float, float],
    ) -> None: ...
    def norm(self, gradients: Sequence[int], threads: int) -> float: ...
    def step(
        self, gradients: Sequence[int], steps: Sequence[int], rates: tuple[float, float, float], threads: int
    ) -> None: ...

class OptimizerDouble(OptimizerFloat): ...

def isa() -> str: ...
def set_step_threads(threads: int) -> None: ...
def works_alone(threads: int) -> bool: ...
def borrow_openmp() -> None: ...
def fingerprint(arrays: Sequence[tuple[int, int]]) -> int: ...
def spend_operations(rounds: int, half: bool = False) -> float: ...
