"""What the steps of a training multiply in."""

import time
from functools import cache
from typing import Literal

from memfold import _engine, engine

__all__ = ["BFLOAT16", "FLOAT32", "Precision", "gain", "pays_here", "precision_for"]

Precision = Literal["float32", "bfloat16"]
FLOAT32: Precision = "float32"
BFLOAT16: Precision = "bfloat16"


# Instruction sets for bfloat16 by which validations were compared with those in float32: AVX512-BF16 in every task, AMX
# in generate alone.
COMPARED = ("v4-bf16", "v4-amx")
LEAST_GAIN = 1.3  # in products alone; a training has other things to do besides


@cache
def gain() -> float:
    """How many times as many products this processor makes in bfloat16 as in float32, in registers alone; measured in
    some milliseconds. Of processors with AVX512-BF16 some make twice as many, others half."""
    taken = {True: float("inf"), False: float("inf")}
    for _ in range(5):
        for half in taken:
            start = time.perf_counter()
            operations = _engine.spend_operations(5_000, half)
            taken[half] = min(taken[half], (time.perf_counter() - start) / operations)
    return taken[False] / taken[True]


def pays_here(precision: Precision) -> bool:
    """Whether this machine's processor is made for such products."""
    return precision == FLOAT32 or gain() > LEAST_GAIN


def precision_for(halves: bool) -> Precision:
    """What ``precision=auto`` stands for on this machine: bfloat16 where its products are faster, and by AVX512-BF16
    and AMX alone, by which validations were compared.

    Args:
        halves: whether the task is one whose training gains by bfloat16, and whose scores do not suffer.
    """
    return BFLOAT16 if halves and engine.isa() in COMPARED and gain() > LEAST_GAIN else FLOAT32
