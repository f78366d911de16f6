"""Values in another type, without torch's threads where other programs have the cores."""

from typing import Any

import torch
from torch import Tensor

from memfold import _engine, engine

__all__ = ["converted"]

SERIAL = 32_768  # numbers from which on torch's operators divide their work among threads
PIECE = SERIAL - 1


def converted(x: Tensor, dtype: torch.dtype) -> Tensor:
    """As `x.to(dtype)`, in whose gradient the same holds.

    Torch's threads wait for one another: one that has no core for a while holds up a conversion of microseconds for a
    time slice of some milliseconds. Where the engine goes on alone, large arrays are converted piece by piece, which
    torch leaves to its caller.
    """
    plain = type(x) is Tensor and x.is_cpu and not torch.compiler.is_compiling()
    if not plain or x.dtype == dtype or x.numel() < SERIAL or not _engine.works_alone(engine.get_num_threads()):
        return x.to(dtype)
    if torch._C._get_tracing_state() or torch._C._len_torch_dispatch_stack():
        return x.to(dtype)
    result: Tensor = _Converted.apply(x, dtype)  # type: ignore[no-untyped-call]
    return result


class _Converted(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.dtype = x.dtype
        result = torch.empty_like(x, dtype=dtype)
        _copy(x, result)
        return result

    @staticmethod
    def backward(ctx: Any, d: Tensor) -> tuple[Tensor, None]:
        return converted(d, ctx.dtype), None


def _copy(source: Tensor, target: Tensor) -> None:
    """Copy in pieces that torch does not divide."""
    order = sorted(range(target.dim()), key=target.stride, reverse=True)
    given, taken = source.permute(order), target.permute(order)
    if given.is_contiguous():
        for part, its in zip(torch.split(given.view(-1), PIECE), torch.split(taken.view(-1), PIECE), strict=True):
            its.copy_(part)
    elif source.numel() < SERIAL:
        target.copy_(source)
    else:  # an expanded gradient, or part of a larger array
        along = max(range(source.dim()), key=source.shape.__getitem__)
        half = source.shape[along] // 2
        for begin, length in ((0, half), (half, source.shape[along] - half)):
            _copy(source.narrow(along, begin, length), target.narrow(along, begin, length))
