"""The loss in blocks against torch's, of all logits."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from memfold.tasks import linear_cross_entropy as module
from memfold.tasks.linear_cross_entropy import linear_cross_entropy

N, E, V = 23, 6, 11


def numbers(dtype: torch.dtype = torch.float64) -> tuple[list[Tensor], Tensor, Tensor]:
    """Features, weight and bias that want gradients; targets; what is added to these."""
    torch.manual_seed(0)
    parts = [torch.randn(*size, dtype=dtype).requires_grad_() for size in ((N, E), (V, E), (V,))]
    return parts, torch.randint(V, (N,)), torch.randn(N, dtype=dtype)


@pytest.mark.parametrize("rows", [1, 5, 23, 100])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("added", [False, True])
def test_loss_and_gradients_are_torchs(
    monkeypatch: pytest.MonkeyPatch, rows: int, smoothing: float, added: bool
) -> None:
    monkeypatch.setattr(module, "BLOCK", rows * V)
    monkeypatch.setattr(module, "FEWEST_ROWS", 1)
    parts, target, of_target = numbers()
    logits = F.linear(*parts)
    if added:
        logits = logits.scatter_add(1, target[:, None], of_target[:, None])
    expected = F.cross_entropy(logits, target, label_smoothing=smoothing)
    found = linear_cross_entropy(*parts, target, smoothing=smoothing, of_target=of_target if added else None)
    torch.testing.assert_close(found, expected)
    for of_found, of_expected in zip(
        torch.autograd.grad(3 * found, parts), torch.autograd.grad(3 * expected, parts), strict=True
    ):
        torch.testing.assert_close(of_found, of_expected)
    with torch.no_grad():
        again = linear_cross_entropy(*parts, target, smoothing=smoothing, of_target=of_target if added else None)
    torch.testing.assert_close(again, found)


def test_under_autocast_the_products_alone_are_rounded() -> None:
    parts, target, _ = numbers(torch.float32)
    exact = linear_cross_entropy(*parts, target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = F.linear(parts[0], torch.eye(E))
        assert features.dtype == torch.bfloat16
        found = linear_cross_entropy(features, *parts[1:], target)
    assert found.dtype == torch.float32
    assert 0 < abs(found.item() - exact.item()) < 0.02
    expected = torch.autograd.grad(exact, parts)
    for of_found, of_expected in zip(torch.autograd.grad(found, parts), expected, strict=True):
        assert of_found.dtype == torch.float32
        torch.testing.assert_close(of_found, of_expected, atol=0.01, rtol=0.1)


def test_no_logits_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 2 * V)
    monkeypatch.setattr(module, "FEWEST_ROWS", 1)
    parts, target, _ = numbers()
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.numel()) or tensor, lambda t: t):
        linear_cross_entropy(*parts, target)
    assert sorted(kept) == [V, V * E, N * E]


def test_what_wants_no_gradient_gets_none() -> None:
    (features, weight, bias), target, _ = numbers()
    (only,) = torch.autograd.grad(linear_cross_entropy(features, weight.detach(), bias.detach(), target), features)
    (as_all,) = torch.autograd.grad(linear_cross_entropy(features, weight, bias, target), features)
    torch.testing.assert_close(only, as_all)
    loss = linear_cross_entropy(features.detach(), weight, bias, target)
    loss.backward()
    assert features.grad is None
    assert weight.grad is not None
    assert not linear_cross_entropy(features.detach(), weight.detach(), bias.detach(), target).requires_grad


def test_second_derivatives_are_refused() -> None:
    parts, target, _ = numbers()
    loss = linear_cross_entropy(*parts, target) + parts[0].square().sum()
    with pytest.raises(RuntimeError, match="has no second derivative"):
        torch.autograd.grad(loss, parts[0], create_graph=True)


def test_float64_stays_float64_under_autocast_and_float16_does_not_overflow() -> None:
    parts, target, _ = numbers()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = linear_cross_entropy(*parts, target)
    assert torch.equal(found, linear_cross_entropy(*parts, target))
    features = torch.full((20_000, 1), 8.0)
    weight, bias = torch.zeros(2, 1, requires_grad=True), torch.zeros(2)
    with torch.autocast("cpu", dtype=torch.float16):
        loss = linear_cross_entropy(features, weight, bias, torch.zeros(len(features), dtype=torch.int64))
    (by_weight,) = torch.autograd.grad(loss, weight)
    torch.testing.assert_close(by_weight, torch.tensor([[-4.0], [4.0]]), rtol=0.02, atol=0)
