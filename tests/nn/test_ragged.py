"""Properties of sequences of unequal length, cut sequences and carried state, of every cell."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from memfold import nn
from nn.kinds import EVERY

CELLS = [
    *EVERY,
    ("LSTM", {"peephole": True, "clip": 1.5}),
    ("LSTM", {"coupled": True, "peephole": True, "zoneout": (0.2, 0.1)}),
    ("LSTM", {"layer_norm": True, "proj_size": 2}),
    ("RNN", {"nonlinearity": "relu", "zoneout": 0.2}),
]
every_cell = pytest.mark.parametrize(("kind", "options"), CELLS, ids=str)
few = settings(max_examples=12, deadline=None)
SEEDS = st.integers(0, 2**16)


def build(kind, seed, **options):
    torch.manual_seed(seed)
    return getattr(nn, kind)(3, 4, dtype=torch.float64, **options).eval()


def as_tuple(state):
    return state if isinstance(state, tuple) else (state,)


def as_hx(state):
    return state if len(state) > 1 else state[0]


def random_state(layer, batch):
    rows = layer.num_layers * layer.num_directions
    widths = [layer.proj_size or 4, 4][: 2 if isinstance(layer, nn.LSTM) else 1]
    return tuple(torch.randn(rows, batch, width, dtype=torch.float64) for width in widths)


def assert_equal(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@st.composite
def ragged(draw, smallest=0):
    steps = draw(st.integers(1, 6))
    return steps, draw(st.lists(st.integers(smallest, steps), min_size=1, max_size=4)), draw(SEEDS)


@every_cell
@given(case=ragged(), bidirectional=st.booleans(), num_layers=st.integers(1, 2))
@few
def test_a_row_is_what_it_is_alone_without_padding(kind, options, case, bidirectional, num_layers):
    steps, lengths, seed = case
    layer = build(kind, seed, bidirectional=bidirectional, num_layers=num_layers, **options)
    x, state = torch.randn(steps, len(lengths), 3, dtype=torch.float64), random_state(layer, len(lengths))
    y, final = layer(x, as_hx(state), lengths=lengths)
    for row, length in enumerate(lengths):
        assert not y[length:, row].any()
        if length == 0:
            assert_equal(tuple(s[:, row] for s in as_tuple(final)), tuple(s[:, row] for s in state))
            continue
        alone, its_final = layer(x[:length, row], as_hx(tuple(s[:, row] for s in state)))
        assert_equal(y[:length, row], alone)
        assert_equal(tuple(s[:, row] for s in as_tuple(final)), as_tuple(its_final))


@every_cell
@given(case=ragged(), garbage=st.sampled_from([float("nan"), float("inf"), 1e300]), reset_there=st.booleans())
@few
def test_what_stands_in_the_padding_changes_no_value_and_no_gradient(kind, options, case, garbage, reset_there):
    steps, lengths, seed = case
    layer = build(kind, seed, bidirectional=True, num_layers=2, **options)
    clean = torch.randn(steps, len(lengths), 3, dtype=torch.float64)
    padding = torch.arange(steps)[:, None] >= torch.tensor(lengths)
    results = []
    for value in (0.0, garbage):
        x = clean.masked_fill(padding[..., None], value).requires_grad_()
        resets = padding & reset_there if value else None
        y, final = layer(x, lengths=lengths, resets=resets)
        loss = y.square().sum() + sum(s.square().sum() for s in as_tuple(final))
        gradients = torch.autograd.grad(loss, [x, *layer.parameters()])
        assert not gradients[0][padding].any()
        results.append((y, *as_tuple(final), *gradients))
    assert_equal(*results)


@every_cell
@given(case=ragged(smallest=1), batch_first=st.booleans(), bidirectional=st.booleans())
@few
def test_a_packed_sequence_equals_lengths(kind, options, case, batch_first, bidirectional):
    steps, lengths, seed = case
    layer = build(kind, seed, batch_first=batch_first, bidirectional=bidirectional, num_layers=2, **options)
    lengths[0] = steps
    x, state = torch.randn(steps, len(lengths), 3, dtype=torch.float64), random_state(layer, len(lengths))
    resets = torch.rand(steps, len(lengths)) < 0.3
    if batch_first:
        x, resets = x.transpose(0, 1), resets.T
    packed = pack_padded_sequence(x, lengths, batch_first=batch_first, enforce_sorted=False)
    for cuts in (None, resets):
        y, final = layer(x, as_hx(state), lengths=lengths, resets=cuts)
        packed_y, packed_final = layer(packed, as_hx(state), resets=cuts)
        assert isinstance(packed_y, PackedSequence)
        assert_equal(pad_packed_sequence(packed_y, batch_first=batch_first)[0], y)
        assert_equal(packed_final, final)


@every_cell
@given(first=st.integers(1, 5), second=st.integers(1, 5), seed=SEEDS)
@few
def test_a_sequence_in_two_parts_with_the_state_carried_is_the_whole(kind, options, first, second, seed):
    layer = build(kind, seed, num_layers=2, **options)
    x, state = torch.randn(first + second, 2, 3, dtype=torch.float64), random_state(layer, 2)
    y, final = layer(x, as_hx(state))
    left, carried = layer(x[:first], as_hx(state))
    right, end = layer(x[first:], carried)
    assert_equal(torch.cat([left, right]), y)
    assert_equal(end, final)


@every_cell
@given(batch=st.integers(1, 5), seed=SEEDS, bidirectional=st.booleans())
@few
def test_a_row_does_not_depend_on_its_batch(kind, options, batch, seed, bidirectional):
    layer = build(kind, seed, bidirectional=bidirectional, batch_first=True, **options)
    x, state = torch.randn(batch, 5, 3, dtype=torch.float64), random_state(layer, batch)
    y, final = layer(x, as_hx(state))
    for row in range(batch):
        alone, its_final = layer(x[row], as_hx(tuple(s[:, row] for s in state)))
        assert_equal(alone, y[row])
        assert_equal(as_tuple(its_final), tuple(s[:, row] for s in as_tuple(final)))


@every_cell
@given(case=ragged(), bidirectional=st.booleans(), data=st.data())
@few
def test_a_reset_is_a_cut_to_a_state_of_zero(kind, options, case, bidirectional, data):
    steps, lengths, seed = case
    layer = build(kind, seed, bidirectional=bidirectional, **options)
    x, state = torch.randn(steps, len(lengths), 3, dtype=torch.float64), random_state(layer, len(lengths))
    resets = torch.tensor([[data.draw(st.booleans()) for _ in lengths] for _ in range(steps)])
    y, final = layer(x, as_hx(state), lengths=lengths, resets=resets)
    for row, length in enumerate(lengths):
        cuts = [t for t in range(length) if resets[t, row]]
        bounds = sorted({0, *cuts, length})
        start = [s[:, row].clone() for s in state]
        if 0 in cuts:
            for s in start:
                s[0] = 0  # the forward direction; the reverse one ends before this cut
        end = [s.clone() for s in start]
        for begin, stop in itertools.pairwise(bounds):
            own = [torch.zeros_like(s) for s in start]
            for s, given_state in zip(own, start, strict=True):
                if begin == 0:
                    s[0] = given_state[0]
                if stop == length and bidirectional:
                    s[1] = given_state[1]
            part, after = layer(x[begin:stop, row], as_hx(tuple(own)))
            assert_equal(y[begin:stop, row], part)
            for s, reached in zip(end, as_tuple(after), strict=True):
                if stop == length:
                    s[0] = reached[0]
                if begin == 0 and bidirectional:
                    s[1] = reached[1]
        if length:
            assert_equal(tuple(s[:, row] for s in as_tuple(final)), tuple(end))


@pytest.mark.parametrize("batch_first", [False, True])
def test_unbatched_input_takes_a_length_and_its_resets(batch_first):
    layer = build("GRU", 0, bidirectional=True, batch_first=batch_first)
    x, resets = torch.randn(5, 3, dtype=torch.float64), torch.tensor([0, 0, 1, 0, 0]).bool()
    y, h = layer(x, lengths=4, resets=resets)
    batch_dim = 0 if batch_first else 1
    many, state = layer(x.unsqueeze(batch_dim), lengths=[4], resets=resets.unsqueeze(batch_dim))
    assert_equal(y, many.squeeze(batch_dim))
    assert_equal(h, state.squeeze(1))
