"""The one translator: memfold's recurrent operators as nodes of ONNX.

Where ONNX has the cell, its own LSTM, GRU or RNN; else a Scan over the steps. Of a row of length 0, ONNX's nodes end
with the state 0, and memfold's layers with the initial one: that is put right.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import onnx_ir as ir
import torch
from onnxscript import evaluator, opset20

from memfold.cells.table import CELLS
from memfold.export.scan import Body, step

__all__ = ["STEP_TABLE", "TABLE"]

# where ONNX's gates stand among torch's: i o f c from i f g o, z r h from r z n; of a coupled LSTM f's rows are unused
op: Any = opset20  # whose stubs take no whole numbers as axes

ORDER = {
    "lstm": (0, 3, 1, 2),
    "coupled_lstm": (0, 2, 0, 1),
    "gru": (1, 0, 2),
    "gru_reset_before": (1, 0, 2),
    "rnn_tanh": (0,),
    "rnn_relu": (0,),
}
PEEPHOLES = {"lstm": (0, 2, 1), "coupled_lstm": (0, 1, 0)}  # i o f
INT32, FLOAT = 6, 1


def translate_fold(
    x: Any,
    weights: Sequence[Any],
    state: Sequence[Any],
    lengths: Any,
    resets: Any,
    mask: Any,
    zones: Sequence[Any],
    cell: str,
    directions: int,
    clip: float | None,
    zoneout: Sequence[float],
    batch_first: bool,
    keep: bool,
    bfloat16: bool = False,
) -> tuple[Any, Any, Any]:
    """``memfold::fold``: y ``(T, B, D*H)``, h and c ``(D, B, H)``; in float32 also what was folded in bfloat16."""
    count = len(weights) // directions
    names = ["weight_ih", "weight_hh"] + ["bias_ih", "bias_hh"] * (count > 3) + ["weight_ph"] * (count % 2)
    rows = [dict(zip(names, weights[d * count : (d + 1) * count], strict=True)) for d in range(directions)]
    _refuse_training(mask, zones, keep)
    if resets is None and not any(zoneout):
        return _node(x, rows, state, lengths, cell, clip)
    outputs = []
    for d, named in enumerate(rows):
        initial = [_at(part, d) for part in state]
        outputs.append(_scan(x, named, initial, lengths, resets, cell, d == 1, clip, zoneout))
    y = _joined([output[0] for output in outputs], axis=-1)
    final = [_joined([op.Unsqueeze(output[1][k], [0]) for output in outputs], 0) for k in range(len(state))]
    return y, final[0], final[1] if len(final) > 1 else op.Constant(value_floats=[0.0])


def translate_compose(
    x: Any,
    weights: Sequence[Any],
    state: Sequence[Any],
    lengths: Any,
    resets: Any,
    mask: Any,
    zones: Sequence[Any],
    names: Sequence[str],
    cell: str,
    reverse: bool,
    clip: float | None,
    zoneout: Sequence[float],
) -> tuple[Any, Any, Any]:
    """``memfold::compose``: y ``(T, B, H or P)``, h and c ``(B, ·)``."""
    _refuse_training(mask, zones, False)
    named = dict(zip(names, weights, strict=True))
    y, final = _scan(x, named, list(state), lengths, resets, cell, reverse, clip, zoneout)
    return y, final[0], final[1] if len(final) > 1 else op.Constant(value_floats=[0.0])


def _refuse_training(mask: Any, zones: Sequence[Any], keep: bool) -> None:
    if mask is not None or any(zone is not None for zone in zones) or keep:
        raise NotImplementedError("a layer in training, which draws masks, is not exported: call eval() first")


def _node(
    x: Any,
    rows: Sequence[Mapping[str, Any]],
    state: Sequence[Any],
    lengths: Any,
    cell: str,
    clip: float | None,
) -> tuple[Any, Any, Any]:
    """ONNX's own recurrent node."""

    hidden = int(rows[0]["weight_hh"].shape[1])

    def gates(weight: Any, order: Sequence[int], count: int) -> Any:
        if count == 1:
            return weight
        taken = [gate * hidden + unit for gate in order for unit in range(hidden)]
        return op.Gather(weight, op.Constant(value_ints=taken), axis=0)

    def stacked(name: str, order: Sequence[int], count: int) -> Any:
        if name not in rows[0]:
            return None
        return _joined([op.Unsqueeze(gates(row[name], order, count), [0]) for row in rows], 0)

    order, count = ORDER[cell], len(CELLS[cell].gates)
    w, r = stacked("weight_ih", order, count), stacked("weight_hh", order, count)
    bias = None
    if "bias_ih" in rows[0]:
        bias = op.Concat(stacked("bias_ih", order, count), stacked("bias_hh", order, count), axis=1)
    ends = None if lengths is None else op.Cast(lengths, to=INT32)
    options: dict[str, Any] = {"hidden_size": hidden, "direction": "bidirectional" if len(rows) == 2 else "forward"}
    if clip is not None:
        options["clip"] = clip
    if cell.endswith("lstm"):
        peepholes = None
        if "weight_ph" in rows[0]:
            peepholes = stacked("weight_ph", PEEPHOLES[cell], len(CELLS[cell].peepholes))
        if cell == "coupled_lstm":
            options["input_forget"] = 1
        y, *final = op.LSTM(x, w, r, bias, ends, state[0], state[1], peepholes, **options)
    elif cell.startswith("gru"):
        y, *final = op.GRU(x, w, r, bias, ends, state[0], linear_before_reset=int(cell == "gru"), **options)
    else:
        if cell == "rnn_relu":
            options["activations"] = ["Relu"] * len(rows)
        y, *final = op.RNN(x, w, r, bias, ends, state[0], **options)
    if lengths is not None:
        empty = op.Unsqueeze(op.Equal(ends, op.Cast(op.Constant(value_ints=[0]), to=INT32)), [0, 2])
        final = [op.Where(empty, first, last) for first, last in zip(state, final, strict=True)]
    y = op.Reshape(op.Transpose(y, perm=[0, 2, 1, 3]), op.Constant(value_ints=[0, 0, -1]))
    return y, final[0], final[1] if len(final) > 1 else op.Constant(value_floats=[0.0])


def _scan(
    x: Any,
    weights: Mapping[str, Any],
    state: Sequence[Any],
    lengths: Any,
    resets: Any,
    cell: str,
    reverse: bool,
    clip: float | None,
    zoneout: Sequence[float],
) -> tuple[Any, list[Any]]:
    """One layer in one direction as a Scan: y ``(T, B, ·)`` and the final state, ``(B, ·)`` each."""
    names = CELLS[cell].state
    inside = cut = None
    if lengths is not None:
        steps = op.Range(op.Constant(value_int=0), op.Squeeze(op.Shape(x, start=0, end=1)), op.Constant(value_int=1))
        inside = op.Less(op.Unsqueeze(steps, [1]), op.Unsqueeze(lengths, [0]))  # (T, B)
        inside = op.Unsqueeze(inside, [2])
        x = op.Where(inside, x, op.Constant(value_float=0.0))
    if resets is not None:
        cut = op.Unsqueeze(resets, [2])
        if inside is not None:
            cut = op.And(cut, inside)
        if reverse:  # a cut between t-1 and t comes before step t-1
            later = op.Slice(cut, [1], [2**31 - 1], [0])
            cut = op.Concat(later, op.Xor(op.Slice(cut, [0], [1], [0]), op.Slice(cut, [0], [1], [0])), axis=0)
    outside = Recorded()
    from_x = outside.linear(x, weights, "ih")  # (T, B, G*H)
    body = Body()
    old = {name: body.input(name) for name in names}
    x_step = body.input("x")
    scanned = [(x_step, from_x)]
    before = dict(old)
    if cut is not None:
        cut_step = body.input("cut")
        scanned.append((cut_step, cut))
        before = {name: body("Where", cut_step, body.numbers(0.0), value) for name, value in old.items()}
    new = step(body, cell, x_step, before, weights, clip)
    new = {name: _zoned(body, new[name], before[name], p) for name, p in zip(names, zoneout, strict=True)}
    y_step = new["h"]
    if inside is not None:
        inside_step = body.input("inside")
        scanned.append((inside_step, inside))
        y_step = body("Where", inside_step, y_step, body.numbers(0.0))
        new = {name: body("Where", inside_step, new[name], before[name]) for name in names}
    outputs = [body("Identity", new[name]) for name in names] + [body("Identity", y_step)]
    inputs = [*old.values(), *(value for value, _ in scanned)]
    graph = ir.Graph(inputs, outputs, nodes=body.nodes, name=f"{cell}_step")
    direction = [int(reverse)]
    result = _several(
        "Scan",
        [*state, *(values for _, values in scanned)],
        len(names) + 1,
        body=graph,
        num_scan_inputs=len(scanned),
        scan_input_directions=direction * len(scanned),
        scan_output_directions=direction,
    )
    *final, y = result
    return y, list(final)


class Recorded(Body):
    """The same nodes in the graph that is being exported."""

    def __call__(self, operator: str, *inputs: Any, **attributes: Any) -> Any:
        result = getattr(op, operator)(*inputs, **attributes)
        return result[0] if isinstance(result, Sequence) else result  # of a normalisation, mean and deviation follow

    def chunks(self, value: Any, count: int, axis: int = -1) -> list[Any]:
        if count == 1:
            return [value]
        return list(op.Split(value, num_outputs=count, axis=axis))


def step_fold(
    x: Any,
    weights: Sequence[Any],
    state: Sequence[Any],
    lengths: Any,
    resets: Any,
    mask: Any,
    zones: Sequence[Any],
    cell: str,
    directions: int,
    clip: float | None,
    zoneout: Sequence[float],
    batch_first: bool,
    keep: bool,
    bfloat16: bool = False,
) -> tuple[Any, Any, Any]:
    """``memfold::fold`` of one step, as products and gates without a loop: y ``(1, B, H)``, h and c ``(1, B, H)``."""
    if directions != 1 or lengths is not None or resets is not None:
        raise NotImplementedError("a step has one direction, no lengths and no resets")
    count = len(weights)
    names = ["weight_ih", "weight_hh"] + ["bias_ih", "bias_hh"] * (count > 3) + ["weight_ph"] * (count % 2)
    initial = [_at(part, 0) for part in state]
    return _one_step(x, dict(zip(names, weights, strict=True)), initial, cell, clip, zoneout, mask, zones, [0])


def step_compose(
    x: Any,
    weights: Sequence[Any],
    state: Sequence[Any],
    lengths: Any,
    resets: Any,
    mask: Any,
    zones: Sequence[Any],
    names: Sequence[str],
    cell: str,
    reverse: bool,
    clip: float | None,
    zoneout: Sequence[float],
) -> tuple[Any, Any, Any]:
    """``memfold::compose`` of one step: y ``(1, B, ·)``, h and c ``(B, ·)``."""
    if reverse or lengths is not None or resets is not None:
        raise NotImplementedError("a step has one direction, no lengths and no resets")
    return _one_step(x, dict(zip(names, weights, strict=True)), state, cell, clip, zoneout, mask, zones, None)


def _one_step(
    x: Any,
    weights: Mapping[str, Any],
    state: Sequence[Any],
    cell: str,
    clip: float | None,
    zoneout: Sequence[float],
    mask: Any,
    zones: Sequence[Any],
    lifted: list[int] | None,
) -> tuple[Any, Any, Any]:
    """A step; the final state gets the axis ``lifted`` in front."""
    _refuse_training(mask, zones, False)
    names = CELLS[cell].state
    graph = Recorded()
    before = dict(zip(names, state, strict=True))
    new = step(graph, cell, graph.linear(_at(x, 0), weights, "ih"), before, weights, clip)
    new = {name: _zoned(graph, new[name], before[name], p) for (name, p) in zip(names, zoneout, strict=True)}
    final = [new[name] if lifted is None else op.Unsqueeze(new[name], lifted) for name in names]
    y = op.Unsqueeze(new["h"], [0])
    return y, final[0], final[1] if len(final) > 1 else op.Constant(value_floats=[0.0])


def _zoned(graph: Body, new: Any, old: Any, p: float) -> Any:
    """The expectation of a unit that stays with the probability p."""
    if not p:
        return new
    return graph("Add", graph("Mul", old, graph.numbers(p)), graph("Mul", new, graph.numbers(1 - p)))


def _several(operator: str, inputs: Sequence[Any], outputs: int, **attributes: Any) -> Sequence[Any]:
    """A node with so many outputs, which its name alone does not tell."""
    node = ir.Node("", operator, inputs, attributes=ir.convenience.convert_attributes(attributes), num_outputs=outputs)
    evaluator.default().nodes.append(node)  # type: ignore[attr-defined]
    return node.outputs


def _joined(parts: Sequence[Any], axis: int) -> Any:
    return parts[0] if len(parts) == 1 else op.Concat(*parts, axis=axis)


def _at(value: Any, row: int) -> Any:
    return op.Gather(value, op.Constant(value_int=row), axis=0)


def remainder(x: Any, y: Any) -> Any:
    """torch's remainder by a size that is free, which the exporter's own translation does not take."""
    return op.Mod(x, y)


TABLE: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.memfold.fold_flat.default: translate_fold,
    torch.ops.memfold.compose_flat.default: translate_compose,
    torch.ops.aten.remainder.Scalar: remainder,
}
STEP_TABLE: dict[Callable[..., Any], Callable[..., Any]] = {
    **TABLE,
    torch.ops.memfold.fold_flat.default: step_fold,
    torch.ops.memfold.compose_flat.default: step_compose,
}
