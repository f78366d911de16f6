"""The optimiser beside torch's own, and what it keeps from step to step."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import memfold
from memfold.adamw import AdamW
from memfold.bench.tasks import TorchsAdamW


class Network(nn.Module):
    """Weights of one number and of many, in rows and in columns, one with two names, one without gradient; buffers."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.large = nn.Linear(300, 70, dtype=dtype)
        self.small = nn.Parameter(torch.ones((), dtype=dtype))
        self.columns = nn.Parameter(torch.randn(70, 300, dtype=dtype).T)
        self.again = self.columns
        self.unused = nn.Parameter(torch.ones(5, dtype=dtype))
        self.norm = nn.BatchNorm1d(70, dtype=dtype)


def gradients(network: Network, seed: int, scale: float) -> None:
    """Of every weight but one, and other buffers."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(like: Tensor) -> Tensor:
        result = torch.empty_like(like)  # laid out as autograd does
        return result.copy_(torch.randn(like.shape, generator=generator, dtype=torch.float64))

    for name, weight in network.named_parameters():
        weight.grad = None if name == "unused" else drawn(weight) * scale
    assert network.norm.running_mean is not None
    assert network.norm.num_batches_tracked is not None
    network.norm.running_mean.copy_(drawn(network.norm.running_mean))
    network.norm.num_batches_tracked += 1


def largest_difference(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    return max(float((ours[name].detach() - theirs[name].detach()).abs().max()) for name in ours)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-14)])
def test_steps_are_torchs(dtype: torch.dtype, tolerance: float) -> None:
    ours = Network(dtype)
    theirs = copy.deepcopy(ours)
    optimizers = AdamW(ours, 0.02, 1.0), TorchsAdamW(theirs, 0.02, 1.0)
    for step in range(20):
        for network in (ours, theirs):
            gradients(network, step, 1.0 if step < 10 else 1e-3)  # clipped, and not
            network.unused.grad = None if step < 5 else torch.full((5,), 0.1, dtype=dtype)
        norms = [optimizer.step(1e-3 * (step + 1), 0.1) for optimizer in optimizers]
        assert norms[0] == pytest.approx(norms[1], rel=1e-5)
    assert largest_difference(dict(ours.named_parameters()), dict(theirs.named_parameters())) < tolerance
    assert optimizers[0].average.keys() == ours.state_dict().keys()
    assert largest_difference(optimizers[0].average, optimizers[1].average) < tolerance


def test_a_gradient_may_lie_otherwise_than_its_weight() -> None:
    """Torch's fused operator would take its numbers in the order of memory."""
    networks = Network(), Network()
    for network, otherwise in zip(networks, (False, True), strict=True):
        gradients(network, 0, 1.0)
        assert network.columns.grad is not None
        if otherwise:
            network.columns.grad = network.columns.grad.contiguous()
            assert network.columns.grad.stride() != network.columns.stride()
        AdamW(network, 0.01, 1.0).step(1e-2, 0.1)
    assert torch.equal(networks[0].columns, networks[1].columns)


def test_the_number_of_threads_changes_no_bit() -> None:
    before, results = memfold.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            memfold.set_num_threads(threads)
            network = Network()
            optimizer = AdamW(network, 0.01, 1.0)
            for step in range(3):
                gradients(network, step, 10.0)
                optimizer.step(1e-2, 0.1)
            results.append({**network.state_dict(), **{f"average {n}": v for n, v in optimizer.average.items()}})
    finally:
        memfold.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(results[0][name], other[name]) for name in other)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_a_gradient_that_is_not_finite_moves_nothing(value: float) -> None:
    """As one whose squares overflow float32, of which torch's norm is infinite too."""
    network = Network()
    optimizer = AdamW(network, 0.01, 1.0)
    gradients(network, 0, 1.0)
    assert network.large.weight.grad is not None
    network.large.weight.grad[3, 4] = value
    before = copy.deepcopy(network.state_dict())
    assert not torch.isfinite(torch.tensor(optimizer.step(1e-3, 0.1)))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not optimizer.state()


def test_it_goes_on_from_its_state() -> None:
    def stepped(network: Network, optimizer: AdamW, steps: range) -> None:
        for step in steps:
            gradients(network, step, 1.0)
            optimizer.step(1e-2, 0.1)

    whole, first = Network(), Network()
    stepped(whole, whole_optimizer := AdamW(whole, 0.01, 1.0), range(6))
    stepped(first, first_optimizer := AdamW(first, 0.01, 1.0), range(3))
    second = Network()
    second.load_state_dict(first.state_dict())
    second_optimizer = AdamW(second, 0.01, 1.0)
    second_optimizer.restore(copy.deepcopy(first_optimizer.state()), copy.deepcopy(first_optimizer.average))
    stepped(second, second_optimizer, range(3, 6))
    for ours, expected in (
        (second.state_dict(), whole.state_dict()),
        (second_optimizer.state(), whole_optimizer.state()),
        (second_optimizer.average, whole_optimizer.average),
    ):
        assert ours.keys() == expected.keys()
        assert all(torch.equal(ours[name], expected[name]) for name in ours)


def test_a_state_of_torchs_optimiser_fits() -> None:
    """Checkpoints of before are those of `torch.optim.AdamW`."""
    ours = Network()
    theirs = copy.deepcopy(ours)
    torchs = TorchsAdamW(theirs, 0.01, 1.0)
    gradients(theirs, 0, 1.0)
    torchs.step(1e-2, 0.1)
    state = torchs.optimizer.state_dict()["state"]
    named = {f"{index}.{name}": value for index, values in state.items() for name, value in values.items()}
    ours.load_state_dict(theirs.state_dict())
    optimizer = AdamW(ours, 0.01, 1.0)
    optimizer.restore(named, torchs.average)
    for network, stepping in ((ours, optimizer), (theirs, torchs)):
        gradients(network, 1, 1.0)
        stepping.step(1e-2, 0.1)
    assert largest_difference(dict(ours.named_parameters()), dict(theirs.named_parameters())) < 1e-6
    assert named.keys() == optimizer.state().keys()


def test_weights_may_move_in_memory() -> None:
    ours = Network()
    theirs = copy.deepcopy(ours)
    optimizers = AdamW(ours, 0.01, 1.0), AdamW(theirs, 0.01, 1.0)
    for step in range(3):
        ours.large.weight.data = ours.large.weight.data.clone()
        for network, optimizer in zip((ours, theirs), optimizers, strict=True):
            gradients(network, step, 1.0)
            optimizer.step(1e-2, 0.1)
    assert largest_difference(ours.state_dict(), theirs.state_dict()) == 0


@pytest.mark.parametrize("weight", [torch.ones(3, dtype=torch.bfloat16), torch.ones(1).expand(3)])
def test_weights_that_it_cannot_move_are_refused(weight: Any) -> None:
    network = nn.Module()
    network.weight = nn.Parameter(weight)
    with pytest.raises(ValueError, match="weights must be float32 or float64 and lie in memory without gaps"):
        AdamW(network, 0.01, 1.0)


def test_a_weight_of_another_type_or_order_is_refused() -> None:
    network = Network()
    optimizer = AdamW(network, 0.01, 1.0)
    network.large.weight.data = network.large.weight.data.t().contiguous().t()
    gradients(network, 0, 1.0)
    with pytest.raises(ValueError, match="make a new AdamW"):
        optimizer.step(1e-2, 0.1)
    network = Network()
    optimizer = AdamW(network, 0.01, 1.0)
    network.double()
    gradients(network, 0, 1.0)
    with pytest.raises(ValueError, match=r"in torch\.float64"):
        optimizer.step(1e-2, 0.1)


def test_a_buffer_that_is_given_anew_is_followed() -> None:
    network = nn.BatchNorm1d(3)
    optimizer = AdamW(network, 0.01, 1.0)
    network.running_mean = torch.ones(3)
    for weight in network.parameters():
        weight.grad = torch.ones_like(weight)
    optimizer.step(1e-2, 0.5)
    torch.testing.assert_close(optimizer.average["running_mean"], torch.full((3,), 0.5))
