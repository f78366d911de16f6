"""The engine's gradient under torch's autograd: what passes it, what does not, and that its bits stay the same."""

import copy
import gc

import pytest
import torch
from torch.autograd import gradcheck
from torch.utils.checkpoint import checkpoint

import memfold
from memfold import nn
from memfold.nn import dispatch
from nn.kinds import SERVED
from nn.soak import TOLERANCE, Soak

EXTRAS = [{}, {"clip": 0.8}, {"zoneout": 0.3}, {"recurrent_dropout": 0.4}]
every_cell = pytest.mark.parametrize(("kind", "options"), SERVED, ids=str)
STEPS, BATCH, WIDTH, HIDDEN = 6, 5, 4, 19  # H is no multiple of a vector
LENGTHS = [6, 0, 3, 1, 5]


def build(kind, dtype=torch.float64, **options):
    torch.manual_seed(0)
    layer = getattr(nn, kind)(WIDTH, HIDDEN, dtype=dtype, **options)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return layer


def sequence(dtype=torch.float64):
    return torch.randn(STEPS, BATCH, WIDTH, dtype=dtype, generator=torch.Generator().manual_seed(1))


def flat(result):
    y, final = result[:2]
    return [y, *(final if isinstance(final, tuple) else (final,))]


def first_state(layer):
    rows = layer.num_layers * layer.num_directions
    state = [torch.randn(rows, BATCH, HIDDEN, dtype=layer.weight_ih_l0.dtype, requires_grad=True) for _ in range(2)]
    return tuple(state) if isinstance(layer, nn.LSTM) else state[0]


def gradients(layer, x, hx=None, **call):
    """Of a loss of every output, by x, the initial state and the parameters; and the outputs."""
    x = x.detach().requires_grad_()
    state = [] if hx is None else [hx] if isinstance(hx, torch.Tensor) else list(hx)
    outputs = flat(layer(x, hx, **call))
    generator = torch.Generator().manual_seed(2)
    loss = sum((o * torch.randn(o.shape, dtype=o.dtype, generator=generator)).sum() for o in outputs)
    return [*torch.autograd.grad(loss, [x, *state, *layer.parameters()]), *outputs]


@pytest.mark.parametrize("ragged", [False, True], ids=["dense", "ragged"])
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("extra", EXTRAS, ids=str)
@every_cell
def test_the_engine_and_the_composition_give_the_same_gradients(
    kind, options, extra, training, ragged, monkeypatch, record_difference
):
    layer = build(kind, num_layers=2, bidirectional=True, **options, **extra).train(training)
    hx = first_state(layer)
    call = {"lengths": LENGTHS, "resets": torch.rand(STEPS, BATCH) < 0.3} if ragged else {}
    found = []
    for way in ("operator", "composition"):
        monkeypatch.setattr(dispatch, "served_by", lambda *args, way=way, **given: way)
        torch.manual_seed(3)
        found.append(gradients(layer, sequence(), hx, **call))
    difference = max(float((a - b).detach().abs().max()) for a, b in zip(*found, strict=True))
    record_difference("composition", f"nn.{kind}, gradients", difference)
    assert difference < 1e-10


@pytest.mark.parametrize("extra", EXTRAS, ids=str)
@every_cell
def test_gradients_are_the_finite_differences_for_every_option(kind, options, extra):
    layer = build(kind, bidirectional=True, **options, **extra).train()
    call = {"lengths": LENGTHS, "resets": torch.rand(STEPS, BATCH) < 0.3}
    names = [name for name, _ in layer.named_parameters()]
    hx = first_state(layer)

    def function(x, *rest):
        state, weights = rest[: len(rest) - len(names)], rest[len(rest) - len(names) :]
        torch.manual_seed(4)  # the same masks in every call
        given = (x, state if len(state) > 1 else state[0])
        return tuple(flat(torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), given, call)))

    inputs = [sequence().requires_grad_(), *(hx if isinstance(hx, tuple) else (hx,)), *layer.parameters()]
    assert gradcheck(function, inputs, fast_mode=True)


@every_cell
def test_nothing_in_the_padding_reaches_a_gradient(kind, options):
    layer = build(kind, bidirectional=True, **options)
    results = []
    for filler in (0.0, float("nan")):
        x, cotangent = sequence(), torch.ones(STEPS, BATCH, 2 * HIDDEN, dtype=torch.float64)
        for row, length in enumerate(LENGTHS):
            x[length:, row] = filler
            cotangent[length:, row] = filler
        x.requires_grad_()
        y, _ = layer(x, lengths=LENGTHS)
        results.append(torch.autograd.grad(y, [x, *layer.parameters()], cotangent))
    for clean, filled in zip(*results, strict=True):
        assert torch.equal(clean, filled)
    assert all(not results[0][0][length:, row].any() for row, length in enumerate(LENGTHS))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@every_cell
def test_gradients_have_the_same_bits_in_every_run_and_on_any_number_of_threads(kind, options, dtype):
    layer = build(kind, dtype, bidirectional=True, **options)
    threads = memfold.get_num_threads()
    runs = []
    try:
        for count in (1, 1, 2, 3, 7):
            memfold.set_num_threads(count)
            ragged = gradients(layer, sequence(dtype), lengths=LENGTHS)
            runs.append([*gradients(layer, sequence(dtype)), *ragged])
    finally:
        memfold.set_num_threads(threads)
    for run in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(run, runs[0], strict=True))


@every_cell
def test_an_output_has_the_same_bits_with_and_without_a_gradient(kind, options):
    layer, x = build(kind, torch.float32, num_layers=2, bidirectional=True, **options), sequence(torch.float32)
    with torch.no_grad():
        expected = flat(layer(x))
    assert all(torch.equal(a, b) for a, b in zip(flat(layer(x)), expected, strict=True))


@every_cell
def test_only_what_is_asked_for_gets_a_gradient(kind, options):
    layer, hx = build(kind, bidirectional=True, **options), None
    expected = dict(zip(["x", *dict(layer.named_parameters())], gradients(layer, sequence()), strict=False))
    layer.requires_grad_(False)
    x = sequence().requires_grad_()
    generator = torch.Generator().manual_seed(2)
    outputs = flat(layer(x, hx))
    loss = sum((o * torch.randn(o.shape, dtype=o.dtype, generator=generator)).sum() for o in outputs)
    (dx,) = torch.autograd.grad(loss, [x], retain_graph=True)
    assert torch.equal(dx, expected["x"])
    (again,) = torch.autograd.grad(loss, [x])  # the kept values are whole
    assert torch.equal(dx, again)
    for name, parameter in layer.named_parameters():
        parameter.requires_grad_()
        outputs = flat(layer(sequence()))
        generator.manual_seed(2)
        loss = sum((o * torch.randn(o.shape, dtype=o.dtype, generator=generator)).sum() for o in outputs)
        (found,) = torch.autograd.grad(loss, [parameter])
        assert torch.equal(found, expected[name]), name
        parameter.requires_grad_(False)


def test_second_derivatives_do_not_run_through_a_state_made_from_the_input_twice():
    layer = build("GRU")
    x = sequence().requires_grad_()

    def through(way):
        state = torch.tanh(x[:1].mean(-1, keepdim=True).expand(1, BATCH, HIDDEN))
        y = dispatch.fold(layer, x, (state,), None, None)[0] if way == "engine" else None
        y = dispatch.composed(layer, x, (state,), None, None)[0] if way == "composition" else y
        (first,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
        return torch.autograd.grad(first.square().sum(), [x, *layer.parameters()])

    for ours, theirs in zip(through("engine"), through("composition"), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


# torch's own machinery


@pytest.mark.slow
@every_cell
@pytest.mark.parametrize("ragged", [False, True], ids=["dense", "ragged"])
def test_torch_compile_makes_one_graph_with_the_operator_and_its_gradient(kind, options, ragged):
    torch.compiler.reset()
    layer = build(kind, num_layers=2, bidirectional=True, batch_first=True, **options)
    graphs = []

    def backend(graph, inputs):
        from functorch.compile import make_boxed_func
        from torch._dynamo.backends.common import aot_autograd

        def keep(own, _):
            graphs.append(own)
            return make_boxed_func(own.forward)

        return aot_autograd(fw_compiler=keep, bw_compiler=keep)(graph, inputs)

    x = sequence().transpose(0, 1)
    call = {"lengths": torch.tensor(LENGTHS)} if ragged else {}
    compiled = torch.compile(layer, backend=backend, fullgraph=True)
    found = gradients_of(compiled, layer, x, **call)
    expected = gradients_of(layer, layer, x, **call)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    targets = [str(node.target) for graph in graphs for node in graph.graph.nodes]
    assert targets.count("memfold.fold.default") == 2
    assert targets.count("memfold.fold_backward.default") == 2


def gradients_of(function, layer, x, **call):
    x = x.detach().clone().requires_grad_()
    y, _ = function(x, **call)
    return [y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])]


@pytest.mark.release
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own, while it compiles
@pytest.mark.slow
def test_inductor_trains_a_model_around_a_layer_as_eager_does():
    torch.compiler.reset()
    torch.manual_seed(0)
    model, head = nn.LSTM(8, 16, bidirectional=True), torch.nn.Linear(32, 3)
    x = torch.randn(7, 8, 5).transpose(1, 2).requires_grad_()  # no axis is as the engine wants it

    def loss(x):
        return head(model(torch.tanh(x))[0]).square().mean()

    parameters = [x, *model.parameters(), *head.parameters()]
    expected = torch.autograd.grad(loss(x), parameters)
    found = torch.autograd.grad(torch.compile(loss, fullgraph=True)(x), parameters)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


@every_cell
def test_torch_export_takes_lengths_and_keeps_the_operator(kind, options):
    layer = build(kind, num_layers=2, bidirectional=True, **options).eval()
    lengths = torch.tensor(LENGTHS)
    program = torch.export.export(layer, (sequence(),), {"lengths": lengths})
    assert sum(str(node.target) == "memfold.fold.default" for node in program.graph.nodes) == 2
    for ours, theirs in zip(
        flat(program.module()(sequence(), lengths=lengths)), flat(layer(sequence(), lengths=lengths)), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_checkpointed_layer_draws_and_derives_as_a_plain_one(reentrant):
    layer = build("LSTM", peephole=True, zoneout=0.2, recurrent_dropout=0.2).train()

    def both(run):
        torch.manual_seed(5)
        x = sequence().requires_grad_()
        y = run(x)
        y.square().sum().backward()
        return [y, x.grad]

    plain = both(lambda x: layer(x)[0])
    saved = both(lambda x: checkpoint(lambda x: layer(x)[0], x, use_reentrant=reentrant))
    assert all(torch.equal(a, b) for a, b in zip(plain, saved, strict=True))


def test_a_copy_of_a_trained_layer_trains_alike():
    layer = build("GRU", num_layers=2)
    twin = copy.deepcopy(layer)
    for module in (layer, twin):
        optimiser = torch.optim.Adam(module.parameters(), fused=True)
        for _ in range(3):
            optimiser.zero_grad()
            module(sequence())[0].square().sum().backward()
            optimiser.step()
    assert all(torch.equal(a, b) for a, b in zip(layer.parameters(), twin.parameters(), strict=True))


# What is kept


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_layer_keeps_no_more_memory_than_torchs(kind):
    layer = getattr(nn, kind)(64, 64)
    given = {p.data_ptr() for p in layer.parameters()}

    def bytes_kept(module):
        sizes = {}
        x = torch.randn(50, 16, 64, requires_grad=True)

        def pack(tensor):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in given | {x.untyped_storage().data_ptr()}:
                sizes[storage.data_ptr()] = (storage.nbytes(), tensor)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            y, _ = module(x)
        sizes.pop(y.untyped_storage().data_ptr(), None)
        return sum(size for size, _ in sizes.values())

    theirs = layer.to_torch()
    given |= {p.untyped_storage().data_ptr() for p in theirs.parameters()}
    assert bytes_kept(layer) <= bytes_kept(theirs)


def test_training_leaves_no_memory_behind():
    layer, x = build("LSTM", torch.float32, bidirectional=True), sequence(torch.float32)
    layer(x)[0].sum().backward()
    gc.collect()
    before = sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects())
    for _ in range(5):
        layer(x)[0].sum().backward()
    gc.collect()
    assert sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects()) <= before


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("ragged", [False, True], ids=["dense", "ragged"])
@pytest.mark.parametrize("extra", EXTRAS[:3], ids=str)
@every_cell
def test_a_trace_is_what_the_engine_kept_and_part_of_the_graph(kind, options, extra, ragged, gradient):
    layer = build(kind, num_layers=2, bidirectional=True, **options, **extra).eval()
    call = {"lengths": LENGTHS, "resets": torch.rand(STEPS, BATCH) < 0.3} if ragged else {}
    x = sequence()
    expected = dispatch.composed(layer, *layer.prepared(x, None, call.get("lengths"), call.get("resets")), keep=True)[2]
    with torch.set_grad_enabled(gradient):
        traces = layer.trace(x, **call)
    assert list(traces) == list(expected)
    for key, values in traces.items():
        assert list(values) == list(expected[key])
        for name, value in values.items():
            torch.testing.assert_close(value, expected[key][name], rtol=0, atol=1e-12)
    if gradient:
        for name in traces["l1_reverse"]:
            found, theirs = (
                torch.autograd.grad(t["l1_reverse"][name].square().sum(), layer.weight_ih_l0, retain_graph=True)[0]
                for t in (traces, expected)
            )
            torch.testing.assert_close(found, theirs, rtol=1e-10, atol=1e-10)


@pytest.fixture
def soak():
    threads = memfold.get_num_threads()
    yield Soak()
    memfold.set_num_threads(threads)


def test_a_moment_of_the_soak_finds_nothing(soak):
    for seed in range(10_000, 10_050):
        soak.add(seed)
    assert soak.failed == []
    assert soak.conditioned <= 2


def test_the_soak_takes_for_rounding_only_what_rounding_moves(soak, monkeypatch):
    monkeypatch.setitem(TOLERANCE, torch.float32, 0.0)
    seed = 10_001  # in float32
    soak.add(seed)
    assert (soak.conditioned, soak.failed) == (1, [])

    def wrong(layer, *call):
        y, final, trace = composed(layer, *call)
        return y * 1.0001, final, trace

    composed = dispatch.composed
    monkeypatch.setattr(dispatch, "operated", wrong)
    soak.add(seed)
    assert (soak.conditioned, soak.failed) == (1, [seed])


def test_a_unit_that_repeats_its_clipped_value_passes_the_gradient_as_torchs_clamp_does():
    layer = nn.RNN(1, 1, nonlinearity="relu", bias=False, clip=1.0, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_ih_l0.fill_(1)
        layer.weight_hh_l0.fill_(1)
    x = torch.tensor([2.0, 0.0, 0.0], dtype=torch.float64)[:, None].requires_grad_()
    (dx,) = torch.autograd.grad(layer(x)[0].sum(), x)
    assert dx.flatten().tolist() == [0, 2, 1]
