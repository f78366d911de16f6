"""What the steps of a training multiply in."""

from typing import Literal

from memfold import engine

__all__ = ["BFLOAT16", "FLOAT32", "Precision", "computed_here", "precision_for"]

Precision = Literal["float32", "bfloat16"]
FLOAT32: Precision = "float32"
BFLOAT16: Precision = "bfloat16"


def computed_here(precision: Precision) -> bool:
    """Whether this machine's processor has an instruction for such products."""
    return precision == FLOAT32 or engine.isa().endswith("-bf16")


def precision_for(halves: bool) -> Precision:
    """What ``precision=auto`` stands for on this machine: bfloat16 by AVX512-BF16 alone, where validations were
    compared.

    Args:
        halves: whether the task is one whose training gains by bfloat16, and whose scores do not suffer.
    """
    return BFLOAT16 if halves and engine.isa() == "v4-bf16" else FLOAT32
