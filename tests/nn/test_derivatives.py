"""Every derivative and transform of torch goes through every cell, also where torch.nn's own fail."""

import pytest
import torch
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.func import functional_call, grad, jacfwd, jacrev, jvp, vmap

from memfold import nn
from nn.kinds import EVERY

# torch's own forward mode compiles some of its derivatives by torch.jit.script
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")

CELLS = [
    *EVERY,
    ("LSTM", {"proj_size": 2}),
    ("LSTM", {"coupled": True, "peephole": True, "clip": 1.5}),
    ("LSTM", {"layer_norm": True}),
    ("LSTM", {"layer_norm": True, "peephole": True, "coupled": True, "zoneout": (0.2, 0.1)}),
    ("GRU", {"reset_after": False, "zoneout": 0.2}),
    ("RNN", {"clip": 1.5}),
]
every_cell = pytest.mark.parametrize(("kind", "options"), CELLS, ids=str)
RAGGED = {
    "lengths": torch.tensor([4, 0, 2]),
    "resets": torch.tensor([[0, 0, 0], [0, 1, 1], [1, 0, 0], [0, 0, 1]]).bool(),
}
every_call = pytest.mark.parametrize("call", [{}, RAGGED], ids=["dense", "ragged"])


def build(kind, dtype=torch.float64, **options):
    torch.manual_seed(0)
    layer = getattr(nn, kind)(2, 3, dtype=torch.float64, **options).eval()
    for parameter in layer.parameters():  # away from the zeros of the first values
        torch.nn.init.normal_(parameter, std=0.5)
    return layer.to(dtype)


def flat(result):
    y, final = result
    return (y, *(final if isinstance(final, tuple) else (final,)))


def function_of_everything(layer, call):
    """x and the parameters -> the output and the final state."""
    names = [name for name, _ in layer.named_parameters()]

    def function(x, *weights):
        return flat(functional_call(layer, dict(zip(names, weights, strict=True)), (x,), call))

    weights = [p.detach().clone().requires_grad_() for p in layer.parameters()]
    x = torch.randn(4, 3, 2, dtype=weights[0].dtype, requires_grad=True)
    return function, (x, *weights)


@every_call
@every_cell
def test_gradients_are_the_finite_differences(kind, options, call):
    function, inputs = function_of_everything(build(kind, bidirectional=True, **options), call)
    assert gradcheck(function, inputs, fast_mode=True, check_forward_ad=True)


@every_call
@every_cell
def test_second_derivatives_are_the_finite_differences(kind, options, call):
    function, inputs = function_of_everything(build(kind, **options), call)
    assert gradgradcheck(function, inputs, fast_mode=True)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_the_second_derivative_in_float32_is_that_of_float64(kind):
    results = []
    for dtype in (torch.float32, torch.float64):
        layer = build(kind, dtype, num_layers=2, bidirectional=True)
        x = torch.linspace(-1, 1, 24, dtype=dtype).reshape(4, 3, 2).requires_grad_()
        gradients = torch.autograd.grad(layer(x)[0].pow(3).sum(), [x, *layer.parameters()], create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in gradients), [x, *layer.parameters()])
        results.append([g.double() for g in second])
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@every_cell
def test_forward_mode_is_the_transpose_of_reverse_mode(kind, options, dtype):
    layer = build(kind, dtype, num_layers=2, **options)
    x, tangent = torch.randn(4, 3, 2, dtype=dtype), torch.randn(4, 3, 2, dtype=dtype)
    with forward_ad.dual_level():
        by_level = forward_ad.unpack_dual(layer(forward_ad.make_dual(x, tangent))[0]).tangent
    y, by_function = jvp(lambda x: layer(x)[0], (x,), (tangent,))
    torch.testing.assert_close(by_level, by_function)
    given = x.clone().requires_grad_()
    out = layer(given)[0]
    cotangent = torch.randn_like(out)
    (reverse,) = torch.autograd.grad(out, given, cotangent)
    torch.testing.assert_close((by_function * cotangent).sum(), (reverse * tangent).sum(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(y, out)


@every_call
@every_cell
def test_vmap_is_the_loop(kind, options, call):
    layer = build(kind, bidirectional=True, **options)
    x = torch.randn(5, 4, 3, 2, dtype=torch.float64)
    mapped = vmap(lambda x: flat(layer(x, **call)))(x)
    looped = [torch.stack(parts) for parts in zip(*(flat(layer(one, **call)) for one in x), strict=True)]
    torch.testing.assert_close(list(mapped), looped)


@every_cell
def test_per_sample_gradients_are_the_loop_also_over_lengths(kind, options):
    layer = build(kind, batch_first=True, **options)
    weights = {name: p.detach() for name, p in layer.named_parameters()}
    x, lengths = torch.randn(3, 4, 2, dtype=torch.float64), torch.tensor([4, 1, 3])

    def loss(weights, x, length):
        return functional_call(layer, weights, (x.unsqueeze(0),), {"lengths": length.unsqueeze(0)})[0].square().sum()

    mapped = vmap(grad(loss), in_dims=(None, 0, 0))(weights, x, lengths)
    for row in range(3):
        layer.zero_grad()
        layer(x[row : row + 1], lengths=lengths[row : row + 1])[0].square().sum().backward()
        for name, parameter in layer.named_parameters():
            torch.testing.assert_close(mapped[name][row], parameter.grad)


def test_jacobians_agree_in_both_modes():
    layer = build("LSTM", peephole=True)
    x = torch.randn(3, 2, dtype=torch.float64)
    torch.testing.assert_close(jacfwd(lambda x: layer(x)[0])(x), jacrev(lambda x: layer(x)[0])(x))


def test_random_masks_are_mapped_with_torchs_randomness():
    layer = build("LSTM", num_layers=2, dropout=0.5, zoneout=0.5, recurrent_dropout=0.5).train()
    x = torch.randn(1, 4, 3, 2, dtype=torch.float64).expand(2, -1, -1, -1)
    first, second = vmap(lambda x: layer(x)[0], randomness="different")(x)
    assert not torch.equal(first, second)
    torch.testing.assert_close(*vmap(lambda x: layer(x)[0], randomness="same")(x))


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_every_transform_takes_a_single_step(kind):
    cell = build(f"{kind}Cell")
    x = torch.randn(5, 2, dtype=torch.float64)

    def step(x):
        new = cell(x)
        return new[0] if isinstance(new, tuple) else new

    torch.testing.assert_close(vmap(step)(x), step(x))
    assert gradcheck(step, x.clone().requires_grad_(), check_forward_ad=True)
    assert gradgradcheck(step, x.clone().requires_grad_())


@pytest.mark.slow
@every_call
@every_cell
def test_torch_compile_takes_a_layer_whole(kind, options, call):
    torch.compiler.reset()
    layer = build(kind, **options)
    x = torch.randn(4, 3, 2, dtype=torch.float64)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, **call)[0], layer(x, **call)[0])
