"""The mask of dropout: how much it leaves out, that it is drawn from torch's generator, and its gradient."""

import pytest
import torch
from torch import Tensor

from memfold.nn.dropout import Dropout, dropout


@pytest.mark.parametrize("p", [0.001, 0.1, 0.3, 0.5, 0.9])
def test_it_leaves_out_the_share_that_is_asked(p: float) -> None:
    torch.manual_seed(0)
    count = 1_000_003  # not whole draws
    y = dropout(torch.ones(count), p)
    share = (y == 0).double().mean().item()
    deviation = (p * (1 - p) / count) ** 0.5
    assert abs(share - p) < 5 * deviation + 2**-16
    assert y[y != 0].unique().item() == pytest.approx(1 / (1 - p), rel=1e-3)


def test_each_of_the_four_elements_of_a_draw_is_left_out_as_often_and_by_itself() -> None:
    torch.manual_seed(0)
    gone = (dropout(torch.ones(400_000), 0.25) == 0).double().view(-1, 4)
    assert (gone.mean(0) - 0.25).abs().max() < 0.01
    together = gone.T @ gone / len(gone)
    assert (together - together.diag().diag())[~torch.eye(4, dtype=torch.bool)].sub(0.25**2).abs().max() < 0.01


@pytest.mark.parametrize("p", [0.0, 1e-6])
def test_nothing_is_left_out(p: float) -> None:
    x = torch.randn(5)
    assert dropout(x, p) is x
    assert dropout(x, 0.9, training=False) is x


def test_everything_is_left_out() -> None:
    x = torch.randn(5, requires_grad=True)
    y = dropout(x, 1.0)
    assert (y == 0).all()
    y.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert (x.grad == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_type_and_shape_stay_and_the_gradient_has_the_mask(dtype: torch.dtype) -> None:
    x = torch.randn(3, 5, 7, dtype=dtype).transpose(0, 2).requires_grad_()
    y = Dropout(0.5)(x)
    assert (y.dtype, y.shape) == (dtype, x.shape)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad * x, y)


def test_a_seed_repeats_it_and_eval_turns_it_off() -> None:
    layer, x = Dropout(0.4), torch.ones(100)

    def drawn() -> Tensor:
        torch.manual_seed(3)
        result: Tensor = layer(x)
        return result

    assert torch.equal(drawn(), drawn())
    assert not torch.equal(layer(x), layer(x))
    assert layer.eval()(x) is x


def test_an_empty_tensor() -> None:
    assert dropout(torch.ones(0, 3), 0.5).shape == (0, 3)


def test_it_is_exported() -> None:
    layer = Dropout(0.4)
    exported = torch.export.export(layer, (torch.ones(8),)).module()
    y = exported(torch.ones(8))
    assert ((y == 0) | ((y - 1 / 0.6).abs() < 1e-3)).all()
