"""Sequencer2D: its layer against torch.nn's LSTM on permuted maps, its backbone by what must hold of it."""

import pytest
import torch
from torch import Tensor, nn

from memfold.nn import LSTM, BiLSTM2D, Sequencer
from memfold.nn.sequencer import SequencerBlock

MAPS = [(2, 5, 7), (1, 1, 1), (3, 1, 6), (1, 4, 1), (2, 7, 3)]


def torchs(lstm: LSTM) -> nn.LSTM:
    """torch.nn's layer with the same weights, which takes time first."""
    result = nn.LSTM(lstm.input_size, lstm.hidden_size, bidirectional=True, dtype=torch.float64)
    result.load_state_dict(lstm.state_dict())
    return result


def oracle(down: nn.LSTM, across: nn.LSTM, projection: nn.Linear, x: Tensor) -> Tensor:
    """The layer in torch.nn's operators: a batch of columns, a batch of rows, each copied together."""
    batch, height, width, channels = x.shape
    columns = x.permute(1, 0, 2, 3).reshape(height, batch * width, channels)
    rows = x.permute(2, 0, 1, 3).reshape(width, batch * height, channels)
    vertical = down(columns)[0].reshape(height, batch, width, -1).permute(1, 0, 2, 3)
    horizontal = across(rows)[0].reshape(width, batch, height, -1).permute(1, 2, 0, 3)
    return projection(torch.cat([vertical, horizontal], dim=-1))


@pytest.mark.parametrize("laid_out", [(0, 1, 2, 3), (1, 0, 2, 3), (0, 3, 1, 2)])
@pytest.mark.parametrize("size", MAPS)
def test_the_layer_is_torchs_lstm_on_permuted_maps(size: tuple[int, int, int], laid_out: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer = BiLSTM2D(6, 5).double()
    made = torch.randn(*(((*size, 6)[k]) for k in laid_out), dtype=torch.float64)
    x = made.permute(*(laid_out.index(k) for k in range(4)))
    assert x.shape == (*size, 6)
    expected = oracle(torchs(layer.columns), torchs(layer.rows), layer.projection, x)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("size", MAPS)
def test_its_gradients_are_those_of_torchs_lstm(size: tuple[int, int, int]) -> None:
    torch.manual_seed(1)
    layer = BiLSTM2D(6, 5).double()
    x, weight = (torch.randn(*size, 6, dtype=torch.float64) for _ in range(2))
    x.requires_grad_()
    down, across = torchs(layer.columns), torchs(layer.rows)
    ours = torch.autograd.grad((weight * layer(x)).sum(), [x, *layer.parameters()])
    inputs = [x, *down.parameters(), *across.parameters(), *layer.projection.parameters()]
    theirs = torch.autograd.grad((weight * oracle(down, across, layer.projection, x)).sum(), inputs)
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other)


def test_rows_and_columns_are_read_where_the_map_lies() -> None:
    layer = BiLSTM2D(8, 4)
    seen: dict[str, Tensor] = {}
    layer.columns.register_forward_pre_hook(lambda _, inputs: seen.update(columns=inputs[0]))
    layer.rows.register_forward_pre_hook(lambda _, inputs: seen.update(rows=inputs[0]))
    x = torch.randn(5, 3, 7, 8).transpose(0, 1)  # (B, H, W, C), in memory (H, B, W, C)
    y = layer(x)
    assert {own.data_ptr() for own in seen.values()} == {x.data_ptr()}
    assert y.stride() == x.stride()
    again = layer(y)
    assert {own.data_ptr() for own in seen.values()} == {y.data_ptr()}
    assert again.shape == x.shape


def test_a_block_adds_to_its_input() -> None:
    block = SequencerBlock(8, 4)
    x = torch.randn(2, 3, 4, 8)
    assert (block(x) != x).flatten(1).any(1).all()
    with torch.no_grad():
        for last in (block.lstm.projection, block.mlp[-1]):
            for weight in last.parameters():
                weight.zero_()
    torch.testing.assert_close(block(x), x)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("stem_stride", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [(28, 28), (17, 33), (1, 5), (64, 48)])
def test_any_size_gives_a_place_for_each_stride(size: tuple[int, int], stem_stride: int, channels: int) -> None:
    backbone = Sequencer(channels, [(8, 1), (16, 1)], 4, stem_stride).eval()
    features = backbone(torch.randn(2, channels, *size))
    assert backbone.stride == 2 * stem_stride
    assert features.shape == (2, backbone.out_channels, *(-(-n // backbone.stride) for n in size))


def test_an_image_has_its_features_whatever_others_are_beside_it() -> None:
    torch.manual_seed(3)
    backbone = Sequencer(1, [(16, 1), (16, 1)], 8, 2).eval()
    images = torch.randn(5, 1, 20, 28)
    with torch.no_grad():
        torch.testing.assert_close(backbone(images)[3:4], backbone(images[3:4]))


def test_every_weight_of_the_backbone_has_a_gradient() -> None:
    backbone = Sequencer(3, [(8, 2), (16, 1)], 4, 2)
    backbone(torch.randn(4, 3, 16, 16)).square().sum().backward()
    for name, weight in backbone.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name


def test_sizes_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match="stem_stride must be 1, 2, 4 or 8, got 3"):
        Sequencer(1, [(8, 1)], 4, stem_stride=3)
    with pytest.raises(ValueError, match="stages must have at least one"):
        Sequencer(1, [], 4)
    with pytest.raises(ValueError, match="blocks must be positive, got 0"):
        Sequencer(1, [(8, 0)], 4)
