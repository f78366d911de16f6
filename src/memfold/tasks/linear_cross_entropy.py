"""The cross-entropy of a linear layer's logits, which are made a block of rows at a time and not kept.

`torch.nn.functional.linear_cross_entropy` has such blocks too, but none with label smoothing, and in bfloat16 (torch
2.13, a CPU) it takes longer than with all logits kept.
"""

import math
from typing import Any

import torch
from torch import Tensor

__all__ = ["linear_cross_entropy"]

BLOCK = 1 << 20  # logits at once: 4 MB
FEWEST_ROWS = 256  # of a block: each adds a whole matrix to the gradient of the weight


def linear_cross_entropy(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    target: Tensor,
    *,
    smoothing: float = 0.0,
    of_target: Tensor | None = None,
) -> Tensor:
    """The mean of ``cross_entropy(linear(features, weight, bias), target, label_smoothing=smoothing)``.

    The gradients are made with the loss, while a block's logits are at hand. Under autocast the products of float32
    weights are those of its type; everything else is in the weights' type.

    Args:
        features: (N, E).
        weight: (V, E), float32 or float64; bias (V,), of the same type.
        target: (N,), the indices of the right classes.
        smoothing: share of the target that is spread over all classes (Szegedy et al. 2016, sec. 7).
        of_target: (N,), constants that are added to the logits of the targets.

    Raises:
        RuntimeError: in the backward pass, where a graph of the gradient is asked for.
    """
    kind, product = features.device.type, weight.dtype
    if torch.is_autocast_enabled(kind) and product == torch.float32:
        product = torch.get_autocast_dtype(kind)
    wanted = [torch.is_grad_enabled() and tensor.requires_grad for tensor in (features, weight, bias)]
    with torch.autocast(kind, enabled=False):
        arguments = features, weight, bias, target, smoothing, of_target, product, wanted
        result: Tensor = _InBlocks.apply(*arguments)  # type: ignore[no-untyped-call]
    return result


class _InBlocks(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor,
        target: Tensor,
        smoothing: float,
        of_target: Tensor | None,
        product: torch.dtype,
        wanted: list[bool],
    ) -> Tensor:
        count, classes = len(features), len(weight)
        rows = max(BLOCK // classes, FEWEST_ROWS)
        x, w = features.to(product), weight.to(product)
        loss = bias.new_zeros(())
        by_features = torch.empty_like(x) if wanted[0] else None
        by_weight = torch.zeros_like(weight) if wanted[1] else None
        by_bias = torch.zeros_like(bias) if wanted[2] else None
        for start in range(0, count, rows):
            block = slice(start, start + rows)
            place = target[block, None]
            z = torch.mm(x[block], w.t()).to(bias.dtype).add_(bias)  # (rows, V)
            if of_target is not None:
                z.scatter_add_(1, place, of_target[block, None].to(z.dtype))
            total = z.logsumexp(1, keepdim=True)
            loss += (total - (1 - smoothing) * z.gather(1, place)).sum()
            if smoothing:
                loss -= smoothing / classes * z.sum()
            if not any(wanted):
                continue
            # The probabilities less the target, of the mean: divided before they are rounded.
            by_logits = z.sub_(total + math.log(count)).exp_()
            if smoothing:
                by_logits -= smoothing / classes / count
            by_logits.scatter_add_(1, place, by_logits.new_full((), (smoothing - 1) / count).expand(place.shape))
            if by_bias is not None:
                by_bias += by_logits.sum(0)
            by_logits = by_logits.to(product)
            if by_features is not None:
                torch.mm(by_logits, w, out=by_features[block])
            if by_weight is not None:
                by_weight += torch.mm(by_logits.t(), x[block])
        ctx.save_for_backward(by_features, by_weight, by_bias)
        ctx.dtype = features.dtype
        return loss / count

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # once_differentiable would see the loss's factor alone
            raise RuntimeError("linear_cross_entropy has no second derivative: create_graph must be False")
        by_features, by_weight, by_bias = (None if by is None else by * gradients[0] for by in ctx.saved_tensors)
        return None if by_features is None else by_features.to(ctx.dtype), by_weight, by_bias, *(None,) * 5
