"""A cell step by step in ONNX: the body of a Scan, or a single step, for what ONNX's own recurrent nodes do not have.

The formulas are those of `memfold.nn.composition`, where each stands beside its source.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import onnx_ir as ir

from memfold.cells.table import CELLS

__all__ = ["Body", "step"]

EPSILON = 1e-5  # of torch's layer norm


class Body:
    """Nodes of a graph that is being made; a value of the graph around it is used as it is."""

    _made = itertools.count()  # a name in a body must be none of the graph around it, nor of another body

    def __init__(self) -> None:
        self.nodes: list[ir.Node] = []
        self.number = next(Body._made)

    def __call__(self, operator: str, *inputs: ir.Value | None, **attributes: Any) -> ir.Value:
        """The output of one more node."""
        node = ir.Node(
            "", operator, list(inputs), attributes=ir.convenience.convert_attributes(attributes), num_outputs=1
        )
        return self._added(node)[0]

    def _added(self, node: ir.Node) -> Sequence[ir.Value]:
        node.name = f"cell_{self.number}_{len(self.nodes)}"
        for k, value in enumerate(node.outputs):
            value.name = f"{node.name}_{k}"
        self.nodes.append(node)
        return node.outputs

    def input(self, name: str) -> ir.Value:
        """An input of the body."""
        return ir.Value(name=f"cell_{self.number}_{name}")

    def numbers(self, values: Sequence[float] | float) -> ir.Value:
        """Constants of float32."""
        if isinstance(values, float):
            return self("Constant", value_float=values)
        return self("Constant", value_floats=list(values))

    def whole(self, values: Sequence[int]) -> ir.Value:
        """Whole numbers, such as axes."""
        return self("Constant", value_ints=list(values))

    def chunks(self, value: ir.Value, count: int, axis: int = -1) -> list[ir.Value]:
        """Equal parts along an axis."""
        if count == 1:
            return [value]
        node = ir.Node(
            "",
            "Split",
            [value],
            attributes=ir.convenience.convert_attributes({"axis": axis, "num_outputs": count}),
            num_outputs=count,
        )
        return list(self._added(node))

    def bound(self, pre: ir.Value, clip: float | None) -> ir.Value:
        """Pre-activations held within ±clip."""
        return pre if clip is None else self("Clip", pre, self.numbers(-clip), self.numbers(clip))

    def linear(self, x: ir.Value, weights: Mapping[str, ir.Value], side: str) -> ir.Value:
        """What x or h adds to the pre-activations, its product normalised where the weights hold a gain for it."""
        product = self("MatMul", x, self("Transpose", weights[f"weight_{side}"], perm=[1, 0]))
        if f"ln_{side}" in weights:
            product = self.normalised(product, weights[f"ln_{side}"])
        return self("Add", product, weights[f"bias_{side}"]) if f"bias_{side}" in weights else product

    def normalised(self, value: ir.Value, gain: ir.Value) -> ir.Value:
        """Layer normalisation over the last axis."""
        return self("LayerNormalization", value, gain, axis=-1, epsilon=EPSILON)


def step(
    body: Body,
    cell: str,
    from_x: ir.Value,
    state: Mapping[str, ir.Value],
    weights: Mapping[str, ir.Value],
    clip: float | None,
) -> dict[str, ir.Value]:
    """One step: the new state by its names.

    Args:
        from_x: what x adds to the pre-activations, ``(B, G*H)``.
        state: ``h (B, H or P)`` and, for LSTMs, ``c (B, H)``.
        weights: by torch's names.
    """
    h = state["h"]
    if cell.startswith("rnn"):
        pre = body.bound(body("Add", from_x, body.linear(h, weights, "hh")), clip)
        return {"h": body("Relu" if cell == "rnn_relu" else "Tanh", pre)}
    if cell == "gru":
        (x_r, x_z, x_n), (h_r, h_z, h_n) = body.chunks(from_x, 3), body.chunks(body.linear(h, weights, "hh"), 3)
        r = body("Sigmoid", body.bound(body("Add", x_r, h_r), clip))
        z = body("Sigmoid", body.bound(body("Add", x_z, h_z), clip))
        n = body("Tanh", body.bound(body("Add", x_n, body("Mul", r, h_n)), clip))
        return {"h": _kept(body, z, h, n)}
    if cell == "gru_reset_before":
        x_r, x_z, x_n = body.chunks(from_x, 3)
        w_r, w_z, w_n = body.chunks(weights["weight_hh"], 3, axis=0)
        biases = body.chunks(weights["bias_hh"], 3) if "bias_hh" in weights else [None] * 3

        def product(value: ir.Value, weight: ir.Value, bias: ir.Value | None) -> ir.Value:
            product = body("MatMul", value, body("Transpose", weight, perm=[1, 0]))
            return product if bias is None else body("Add", product, bias)

        r = body("Sigmoid", body.bound(body("Add", x_r, product(h, w_r, biases[0])), clip))
        z = body("Sigmoid", body.bound(body("Add", x_z, product(h, w_z, biases[1])), clip))
        n = body("Tanh", body.bound(body("Add", x_n, product(body("Mul", r, h), w_n, biases[2])), clip))
        return {"h": _kept(body, z, h, n)}
    return _lstm(body, cell, from_x, state, weights, clip)


def _lstm(
    body: Body,
    cell: str,
    from_x: ir.Value,
    state: Mapping[str, ir.Value],
    weights: Mapping[str, ir.Value],
    clip: float | None,
) -> dict[str, ir.Value]:
    c = state["c"]
    gates = CELLS[cell].gates
    pre = body("Add", body.linear(state["h"], weights, "hh"), from_x)
    parts = dict(zip(gates, body.chunks(pre, len(gates)), strict=True))
    peepholes: dict[str, ir.Value] = {}
    if "weight_ph" in weights:
        seen = CELLS[cell].peepholes
        peepholes = dict(zip(seen, body.chunks(weights["weight_ph"], len(seen)), strict=True))

    def gate(name: str, cell_value: ir.Value) -> ir.Value:
        pre = parts[name]
        if name in peepholes:
            pre = body("Add", pre, body("Mul", peepholes[name], cell_value))
        return body("Sigmoid", body.bound(pre, clip))

    i = gate("i", c)
    f = body("Sub", body.numbers(1.0), i) if cell == "coupled_lstm" else gate("f", c)
    g = body("Tanh", body.bound(parts["g"], clip))
    c = body("Add", body("Mul", f, c), body("Mul", i, g))
    o = gate("o", c)
    shown = body.normalised(c, weights["ln_c"]) if "ln_c" in weights else c
    h = body("Mul", o, body("Tanh", shown))
    if "weight_hr" in weights:
        h = body("MatMul", h, body("Transpose", weights["weight_hr"], perm=[1, 0]))
    return {"h": h, "c": c}


def _kept(body: Body, z: ir.Value, old: ir.Value, new: ir.Value) -> ir.Value:
    """``(1 - z) * new + z * old``."""
    rest = body("Sub", body.numbers(1.0), z)
    return body("Add", body("Mul", rest, new), body("Mul", z, old))
