"""The cross-entropy of a linear layer's logits, which are made a block of rows at a time and not kept.

`torch.nn.functional.linear_cross_entropy` has such blocks too, but none with label smoothing, and in bfloat16 (torch
2.13, a CPU) it takes longer than with all logits kept.
"""

from typing import Any

import torch
from torch import Tensor

__all__ = ["linear_cross_entropy"]

BLOCK = 1 << 20  # logits at once: 4 MB


def linear_cross_entropy(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    target: Tensor,
    *,
    smoothing: float = 0.0,
    of_target: Tensor | None = None,
) -> Tensor:
    """The mean of ``cross_entropy(linear(features, weight, bias), target, label_smoothing=smoothing)``, in float32.

    The gradients are made with the loss, while a block's logits are at hand. Under autocast the products are those of
    its type, and everything else is float32. Gradients of gradients there are none.

    Args:
        features: (N, E).
        weight: (V, E); bias (V,).
        target: (N,), the indices of the right classes.
        smoothing: share of the target that is spread over all classes (Szegedy et al. 2016, sec. 7).
        of_target: (N,), constants that are added to the logits of the targets.
    """
    kind = features.device.type
    product = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
    wanted = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (features, weight, bias))
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
        wanted: bool,
    ) -> Tensor:
        classes, rows = len(weight), max(BLOCK // len(weight), 1)
        x, w = features.to(product), weight.to(product)
        loss = bias.new_zeros(())
        by_features, by_weight, by_bias = torch.empty_like(x), torch.zeros_like(weight), torch.zeros_like(bias)
        for start in range(0, len(x), rows):
            block = slice(start, start + rows)
            place = target[block, None]
            z = torch.mm(x[block], w.t()).to(bias.dtype).add_(bias)  # (rows, V)
            if of_target is not None:
                z.scatter_add_(1, place, of_target[block, None].to(z.dtype))
            total = z.logsumexp(1, keepdim=True)
            loss += (total - (1 - smoothing) * z.gather(1, place)).sum()
            if smoothing:
                loss -= smoothing / classes * z.sum()
            if not wanted:
                continue
            by_logits = z.sub_(total).exp_()  # the probabilities; from them what the target has of it is taken
            if smoothing:
                by_logits -= smoothing / classes
            by_logits.scatter_add_(1, place, by_logits.new_full((), smoothing - 1).expand(place.shape))
            by_bias += by_logits.sum(0)
            by_logits = by_logits.to(product)
            torch.mm(by_logits, w, out=by_features[block])
            by_weight += torch.mm(by_logits.t(), x[block])
        if wanted:
            ctx.save_for_backward(by_features, by_weight, by_bias)
            ctx.count, ctx.dtype = len(x), features.dtype
        return loss / len(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        share = gradients[0] / ctx.count
        by_features, by_weight, by_bias = ctx.saved_tensors
        return (by_features * share).to(ctx.dtype), by_weight * share, by_bias * share, *(None,) * 5
