from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

class Packed: ...

Addresses = tuple[int, int, int, int, int]

def pack(kind: int, is_double: bool, half: bool, widths: tuple[int, int], weights: Addresses) -> Packed: ...

class Call:
    def __init__(
        self,
        reverse: bool,
        size: tuple[int, int],
        x: int,
        x_strides: tuple[int, int],
        h_first: int,
        c_first: int,
        y: int,
        y_strides: tuple[int, int],
        kept: int,
        lengths: int,
        resets: int,
        resets_strides: tuple[int, int],
        mask: int,
        zones_h: int,
        zones_c: int,
        clip: float,
        zoneout_h: float,
        zoneout_c: float,
    ) -> None: ...

def fold(directions: Sequence[Packed], call: Call, h_last: int, c_last: int, threads: int) -> None: ...
def fold_backward(
    call: Call,
    kind: int,
    is_double: bool,
    widths: tuple[int, int],
    weights: Sequence[Addresses],
    gradients: Sequence[Addresses],
    dy: int,
    dy_strides: tuple[int, int],
    dh_last: int,
    dc_last: int,
    dh_first: int,
    dc_first: int,
    dx: int,
    dx_strides: tuple[int, int],
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
def works_alone(threads: int) -> bool: ...
def borrow_openmp() -> None: ...
def fingerprint(arrays: Sequence[tuple[int, int]]) -> int: ...
def spend_operations(rounds: int) -> float: ...
