"""What covers do to a score, and lines of a picture that are read apart from the others."""

import pytest
import torch
from torch import Tensor

from memfold.explain.stepping import gradient_flow
from memfold.explain.trace import traced
from memfold.nn import BiLSTM2D, Sequencer
from memfold.tasks.detect.network import BoxDecoder
from memfold.tasks.detect.view import cell_apart
from memfold.tasks.vision.covering import occlusion_map
from memfold.tasks.vision.lines import lines_apart


@pytest.mark.parametrize("size", [(16, 24), (8, 8), (9, 30), (23, 23)])
def test_covers_reach_every_pixel_and_cost_what_they_hide(size: tuple[int, int]) -> None:
    random = torch.Generator().manual_seed(0)
    pixels = torch.rand(1, 3, *size, generator=random, dtype=torch.float64)
    weights = torch.rand(3, *size, generator=random, dtype=torch.float64)

    def score(pictures: Tensor) -> Tensor:
        return (pictures * weights).sum((1, 2, 3))

    found = occlusion_map(score, pixels)
    reached = torch.zeros(size, dtype=torch.bool)
    mean = pixels.float().mean((0, 2, 3)).double()[:, None, None]
    gained = ((pixels[0] - mean) * weights).sum(0)
    for i, row in enumerate(found.rows):
        for j, column in enumerate(found.columns):
            patch = slice(row, row + found.side), slice(column, column + found.side)
            reached[patch] = True
            assert found.losses[i, j] == pytest.approx(gained[patch].sum().item(), abs=1e-9)
    assert reached.all()


def test_the_most_telling_patch_lies_where_the_score_looks() -> None:
    pixels = torch.full((1, 1, 32, 48), 10, dtype=torch.uint8)
    pixels[0, 0, 20:26, 40:46] = 200
    found = occlusion_map(lambda pictures: pictures[:, 0, 20:26, 40:46].float().sum((1, 2)), pixels)
    assert found.side == 6
    assert found.most_telling == (23, 43)


@pytest.mark.parametrize("place", [(0.0, 0.0), (0.4, 0.7), (0.999, 0.999)])
def test_lines_read_apart_change_nothing(place: tuple[float, float]) -> None:
    torch.manual_seed(0)
    network = Sequencer(1, [(8, 2), (8, 1)], 4, stem_stride=2).eval()
    picture = torch.randn(1, 1, 20, 28)
    expected = network(picture)
    with lines_apart(network, *place):
        torch.testing.assert_close(network(picture), expected)
        trace = traced(network, lambda: network(picture))
        flow = gradient_flow(network, lambda: network(picture).square().sum())
    torch.testing.assert_close(network(picture), expected)
    assert len(trace.layers) == 3 * 4
    assert set(trace.layers) == {name for name in flow if not name.endswith("/c")}


def test_the_traced_lines_are_the_row_and_the_column_of_the_map() -> None:
    torch.manual_seed(0)
    layer = BiLSTM2D(6, 5).eval()
    x = torch.randn(1, 4, 10, 6)
    with lines_apart(layer, 0.5, 0.35):
        trace = traced(layer, lambda: layer(x))
    with torch.no_grad():
        row, column = layer.rows(x[0])[0][2], layer.columns(x[0])[0][:, 3]
    for lines, name in ((row, "rows"), (column, "columns")):
        for half, part in zip(lines.split(5, -1), ("l0", "l0_reverse"), strict=True):
            torch.testing.assert_close(torch.from_numpy(trace.layers[f"{name}.{part}"].values["h"]), half)


def test_a_gradient_reaches_along_a_line_the_way_it_is_read() -> None:
    torch.manual_seed(0)
    layer = BiLSTM2D(3, 4).double().eval()
    x = torch.randn(1, 3, 6, 3, dtype=torch.float64)
    with lines_apart(layer, 0.4, 0.0):
        flow = gradient_flow(layer, lambda: layer(x)[0, 1, -1].sum())
    assert (flow["rows.l0"] > 0).all()  # from the last place of the row back to its first
    assert (flow["rows.l0_reverse"][:-1] == 0).all()  # which reads the last place before all others


def test_a_decoders_cell_is_traced_and_the_network_tells_the_same() -> None:
    torch.manual_seed(0)
    decoder = BoxDecoder(6, 2, 5).eval()
    maps = torch.randn(1, 6, 12, 14)
    with torch.no_grad():
        expected = decoder(maps)
    with cell_apart(decoder, 3):
        torch.testing.assert_close(decoder(maps), expected)
        trace = traced(decoder, lambda: decoder(maps))
    h = torch.from_numpy(trace.layers["lstm.l0"].values["h"])  # (L, H)
    with torch.no_grad():
        expected_outputs = torch.cat(expected, 2)[3]
        torch.testing.assert_close(decoder.output(h), expected_outputs)
    assert not vars(decoder).get("decode")
