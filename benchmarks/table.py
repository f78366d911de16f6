"""Measure and write it down: results as JSON, and README.md with one table for each cell.

python benchmarks/table.py            # everything
python benchmarks/table.py series     # this alone; the rest as it was measured before
"""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from memfold import bench, engine
from memfold.bench.timing import geometric_mean

FOLDER = Path(__file__).parent
RUNS = {**bench.BENCHMARKS, "busy_bfloat16": partial(bench.busy, bfloat16=True)}
NAMES = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN (tanh)", "peephole": "Peephole LSTM"}
PEERS = {
    "torch": "torch.nn",
    "torch_bfloat16": "torch.nn, bfloat16",
    "onnxruntime": "ONNX Runtime",
    "eager": "eager loop",
    "compiled": "compiled loop",
    "jax": "JAX",
    "keras": "Keras",
}
STEPPING = ("memfold", "memfold_bfloat16", "torch", "torch_bfloat16")
YARDSTICKS = ("torch", "onnxruntime")
EXTRAS = ("jax", "keras")  # columns of their own; the ratio is to the faster of the other two
HEAD = """# Measured side by side

Written by `make bench`; do not edit. One process, the peers taking turns, medians of a call of `memfold.nn` under
`torch.no_grad()`, of `torch.nn` and of an ONNX Runtime session with one node; input and hidden size are equal, float32.
*ratio* is the time of the faster peer over memfold's: above 1 memfold is faster. *peak* is the share of the
multiply-adds that this machine reaches on registers alone, measured in the same run.

Exported models, beside the models and beside torch's exporter, are on [a page of their own](exports.md).
"""
EXTRAS_HEAD = """
JAX is a jitted `lax.scan`, Keras its own layer on its torch backend. *The faster peer* and *ratio* go by torch.nn and
ONNX Runtime alone. Every peer's output is compared with memfold's before it is timed.
"""
TRAINING_HEAD = """
## Training

Forward and backward of one layer: the gradient of a fixed cotangent of the output, by x and every weight, float32.
*ratio* is to torch.nn; for the peephole LSTM, which torch.nn has not, to the eager loop: the cell step by step in
torch's operators. The compiled loop is the same, unrolled, under `torch.compile`. *peak* counts the backward pass as
two forward ones. Every peer's output and gradient of x are compared with memfold's before it is timed.

{processor}, {threads} threads, x86-64-{isa}, {peak_gflops:.0f} GFLOP/s.
"""
SERIES_HEAD = """
## Forecasting

The forecaster and neuralforecast's LSTM, fitted to the 414 series of M4 hourly for {budget_seconds:.0f} seconds each,
the one as `memfold fit forecast @m4-hourly` sets it, the other at its defaults with the same horizon, past and
quantiles; the last 48 hours are scored once. *Windows* are those trained on in a second of the budget, *series* those
forecast in a second, from a data frame to a data frame. The networks differ, one layer over 56 patches and two layers
over 336 hours: these are no ratios of engines.

{processor}, {threads} threads, x86-64-{isa}; neuralforecast {version}.

"""
HALF_HEAD = """
## bfloat16

Under `torch.autocast("cpu", dtype=torch.bfloat16)`: products in bfloat16; sums, gates and state in float32. *float32*
is memfold without autocast. *ratio* is the time of the fastest other peer over memfold's; the peephole LSTM, which
torch.nn has not, is beside ONNX Runtime in inference and beside the eager loop in training, both in float32. *peak* is
the share of the multiply-adds in bfloat16 that this machine reaches on registers alone, a backward pass counted as two
forward ones. Every peer's output is compared with memfold's in float32 before it is timed.

{processor}, {threads} threads, x86-64-{isa}, {peak_bfloat16_gflops:.0f} GFLOP/s in bfloat16, {peak_gflops:.0f} in
float32; torch {version}. The LSTM was measured in one run, the other cells in another one.
"""
MATRICES_HEAD = """
## bfloat16 by AMX

The same on a processor with matrix registers, whose products in bfloat16 are so fast that the formulas, and the memory,
are what is left: so *peak* is low.

{processor}, {threads} threads, x86-64-{isa}, {peak_bfloat16_gflops:.0f} GFLOP/s in bfloat16, {peak_gflops:.0f} in
float32; torch {version}.
"""
STEP_HEAD = """
## A training step of each task: {ratio:.2f} times (geometric mean), {least:.2f} at least

The network that the task's plan makes for examples of the size that people have, beside the same network with the
layers of torch.nn, ragged batches packed by `pack_padded_sequence`; the same batches, lying ready. AdamW, the bound of
the gradient and the running average are the engine's here, and torch's fused and foreach operators there. *bfloat16* is
under `torch.autocast`. *ratio* is the faster of the two over memfold's in the precision that a fit takes by itself
here, which is in bold. *layers* is the share of memfold's float32 step that is spent in recurrent layers;
*preparation*, of a batch, is in no other column.

{processor}, {threads} threads, x86-64-{isa}; torch {version}. transcribe was measured later, in a run of its own.

"""
BUSY_HEAD = """
## On a busy machine

One layer while other programs take the cores: medians of a call in milliseconds, 99th percentiles behind the stroke,
and ratios. *To one thread* is memfold's median, or 99th percentile, over that of memfold on one thread under the same
load: below 1 more threads were of use. *torch.nn* is its median over memfold's: above 1 memfold is faster. A taken core
is another program that spins, on whichever core the system gives it; a neighbour is a thread of the same process that
spins; four threads call at once. Of two processes side by side the share is the speed of the slower one over that of
one alone, memfold's and torch.nn's.

{processor}, {threads} threads, x86-64-{isa}; torch {version}.
"""
BUSY_HALF_HEAD = """
### In bfloat16

The same under `torch.autocast` in bfloat16, torch.nn too, beside what stands above: geometric means over the sizes.
Measured before a busy machine's values were converted in pieces: beside a taken core and a spinning neighbour the 99th
percentile of a training call, B32 T100 H128 and B4 T200 H320, was 53 ms until then and is 35 ms (means of eight points
each, in turns); medians still jump between 8 and 29 ms with the slices that a thread loses.

| load |  | to one thread, float32 | bfloat16 | torch.nn, float32 | bfloat16 |
|---|---|--:|--:|--:|--:|
"""
MEASURES = {
    "smape": ("sMAPE, %", ".2f"),
    "mase": ("MASE", ".3f"),
    "owa": ("OWA", ".3f"),
    "crps": ("CRPS", ".4f"),
    "coverage80": ("values inside the 80 % interval, %", ".1f"),
    "parameters": ("weights", ",.0f"),
    "steps": ("steps made", ",.0f"),
    "windows_per_second": ("windows a second", ",.0f"),
    "series_per_second": ("series a second", ",.0f"),
}
MACHINE = "\n{processor}, {threads} threads, x86-64-{isa}, {peak_gflops:.0f} GFLOP/s; {peers}.\n"


def main() -> None:
    for name in sys.argv[1:] or RUNS:
        results = json.dumps(RUNS[name](), indent=1) + "\n"
        by_matrices = name == "bfloat16" and engine.isa() == "v4-amx"
        (FOLDER / f"{'bfloat16_amx' if by_matrices else name}.json").write_text(results)
    files = {name: FOLDER / f"{name}.json" for name in (*RUNS, "bfloat16_amx")}
    results = {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}
    (FOLDER / "README.md").write_text(report(**results))


def report(
    layers: dict[str, Any],
    stream: dict[str, Any],
    train: dict[str, Any] | None = None,
    series: dict[str, Any] | None = None,
    busy: dict[str, Any] | None = None,
    bfloat16: dict[str, Any] | None = None,
    tasks: dict[str, Any] | None = None,
    busy_bfloat16: dict[str, Any] | None = None,
    bfloat16_amx: dict[str, Any] | None = None,
) -> str:
    machine = layers["machine"]
    extras = [peer for peer in EXTRAS if f"ratio_{peer}" in layers]
    peers = [*YARDSTICKS, *extras]
    versions = ", ".join(f"{PEERS[peer].removesuffix('.nn')} {machine['versions'][peer]}" for peer in peers)
    parts = [HEAD, EXTRAS_HEAD if extras else "", MACHINE.format(**machine, peers=versions)]
    for cell, ratio in layers["ratio"].items():
        parts.append(f"\n## {NAMES[cell]}: {ratio:.2f} times the faster peer (geometric mean)\n\n")
        beside = [(peer, layers[f"ratio_{peer}"].get(cell)) for peer in extras]
        if means := [f"to {PEERS[peer]} {mean:.1f}" for peer, mean in beside if mean]:
            parts.append(f"Ratio {', '.join(means)}.\n\n")
        parts.append(table([p for p in layers["points"] if p["cell"] == cell], peers))
    ragged, turns = layers["ragged"], layers.get("turns")
    parts.append(
        "\n## Ragged batches\n\n"
        "Bidirectional LSTM, B32 T100 H128, lengths uniform from 5 to 100: "
        f"{ragged['memfold_ms']:.2f} ms, {ragged['of_padded']:.2f} of the padded {ragged['memfold_padded_ms']:.2f} ms, "
        f"{ragged['ratio_torch_packed']:.1f} times faster than torch.nn's packed way.\n"
    )
    if turns:
        parts.append(
            "\n## In turns with torch's operators\n\n"
            "A 400x400 product of torch and an LSTM, B16 T100 H64, called one after the other, take "
            f"{turns['product_us']:.0f} and {turns['memfold_us']:.0f} µs, by themselves "
            f"{turns['product_alone_us']:.0f} and {turns['memfold_alone_us']:.0f} µs.\n"
        )
    parts.append(
        "\n## One step of one stream, called from Python\n\n"
        "| LSTM H | memfold µs | bfloat16 µs | torch.nn µs | ONNX Runtime µs | to torch.nn | to ONNX Runtime |\n"
        + "|--:" * 7
        + "|\n"
    )
    for p in stream["points"]:
        names = ("memfold_us", "memfold_bfloat16_us", "torch_us", "onnxruntime_us")
        times = " | ".join(f"{p[name]:.1f}" for name in names)
        parts.append(f"| {p['hidden']} | {times} | {p['ratio_torch']:.1f} | {p['ratio_onnxruntime']:.1f} |\n")
    others = ((training, train), (in_half, bfloat16), (by_matrices, bfloat16_amx), (stepping, tasks))
    others += ((forecasting, series), (loaded, busy))
    parts += [section(results) for section, results in others if results]
    return "".join(parts) + (loaded_in_half(busy, busy_bfloat16) if busy and busy_bfloat16 else "")


def training(train: dict[str, Any]) -> str:
    parts = [TRAINING_HEAD.format(**train["machine"])]
    for cell, ratio in train["ratio"].items():
        points = [p for p in train["points"] if p["cell"] == cell]
        base, *others = (peer for peer in PEERS if any(f"{peer}_ms" in p for p in points))
        parts.append(f"\n### {NAMES[cell]}: {ratio:.2f} times {PEERS[base]} (geometric mean)\n\n")
        if means := [f"{PEERS[peer]} {train[f'ratio_{peer}'][cell]:.2f}" for peer in others]:
            parts.append(f"Ratio to {', to '.join(means)}.\n\n")
        parts.append(table(points, [base, *others]))
    ragged, step = train["ragged"], train["step"]
    parts.append(
        "\n### Ragged batches, a whole step, memory\n\n"
        "Bidirectional LSTM, B32 T100 H128, lengths uniform from 5 to 100, forward and backward: "
        f"{ragged['memfold_ms']:.2f} ms, {ragged['of_padded']:.2f} of the padded {ragged['memfold_padded_ms']:.2f} ms, "
        f"{ragged['ratio_torch_packed']:.1f} times faster than torch.nn's packed way.\n\n"
        "A step of a character model (embedding of 128, LSTM of 512, head, cross entropy, fused Adam; batch 32, "
        f"windows of 64): {step['memfold_ms']:.0f} ms, {step['memfold_tokens_per_second']:,.0f} characters a second; "
        f"on torch.nn {step['torch_ms']:.0f} ms, {step['torch_tokens_per_second']:,.0f}: {step['ratio']:.2f} times.\n"
    )
    if train["memory"]:
        parts.append(
            "\nWhat autograd keeps of a layer, B32 T100 H128, besides its input, output and weights:\n\n"
            "| | memfold MB | torch.nn MB | ratio |\n|---|--:|--:|--:|\n"
        )
    for cell, kept in train["memory"].items():
        sizes = " | ".join(f"{kept[f'{who}_bytes'] / 1e6:.2f}" for who in ("memfold", "torch"))
        parts.append(f"| {NAMES[cell]} | {sizes} | {kept['ratio']:.2f} |\n")
    return "".join(parts)


def by_matrices(bfloat16: dict[str, Any]) -> str:
    """The section of bfloat16 by AMX."""
    return in_half(bfloat16, MATRICES_HEAD)


def in_half(bfloat16: dict[str, Any], head: str = HALF_HEAD) -> str:
    """The section of bfloat16."""
    machine = bfloat16["machine"]
    parts = [head.format(**machine, version=machine["versions"]["torch"])]
    modes = {"infer": "inference", "train": "training"}
    for name, ratio in bfloat16["ratio"].items():
        cell, mode = name.split(", ")
        least = bfloat16["least"][name]
        parts.append(
            f"\n### {NAMES[cell]}, {modes[mode]}: {ratio:.2f} times (geometric mean), {least:.2f} at least\n\n"
        )
        points = [p for p in bfloat16["points"] if (p["cell"], p["mode"]) == (cell, mode)]
        parts.append(table(points, ["memfold_float32", *(p for p in PEERS if f"{p}_ms" in points[0])]))
    return "".join(parts)


def stepping(tasks: dict[str, Any]) -> str:
    """The section of the tasks' training steps."""
    machine = tasks["machine"]
    parts = [STEP_HEAD.format(**machine, **tasks, version=machine["versions"]["torch"])]
    columns = ["", "weights", "memfold ms", "bfloat16 ms", "torch.nn ms", "torch.nn, bfloat16 ms"]
    columns += ["ratio", "layers", "preparation ms"]
    parts.append(f"| {' | '.join(columns)} |\n|---{'|--:' * (len(columns) - 1)}|\n")
    for p in tasks["points"]:
        taken = {who: f"{p[f'{who}_ms']:.1f}" if f"{who}_ms" in p else "" for who in STEPPING}
        chosen = "memfold_bfloat16" if p["precision"] == "bfloat16" else "memfold"
        taken[chosen] = f"**{taken[chosen]}**"
        cells = [p["task"], f"{p['weights']:,}", *taken.values(), f"{p['ratio']:.2f}"]
        cells += [f"{p['layers_percent']:.0f} %", f"{p['preparation_ms']:.1f}"]
        parts.append(f"| {' | '.join(cells)} |\n")
    return "".join(parts)


def forecasting(series: dict[str, Any]) -> str:
    machine = series["machine"]
    version = machine["versions"]["neuralforecast"]
    parts = [SERIES_HEAD.format(**machine, budget_seconds=series["budget_seconds"], version=version)]
    parts.append("| | memfold | neuralforecast | Naive2 | ratio |\n|---|--:|--:|--:|--:|\n")
    for point in series["points"]:
        title, form = MEASURES[point["measure"]]
        values = [
            format(point[name], form) if name in point else "" for name in ("memfold", "neuralforecast", "Naive2")
        ]
        ratio = f"{point['ratio']:.1f}" if "ratio" in point else ""
        parts.append(f"| {title} | {' | '.join([*values, ratio])} |\n")
    return "".join(parts)


def loaded(busy: dict[str, Any]) -> str:
    """The section of a busy machine."""
    machine = busy["machine"]
    parts = [BUSY_HEAD.format(**machine, version=machine["versions"]["torch"])]
    columns = ["", "B", "T", "H", "memfold", "one thread", "torch.nn", "to one thread", "99th", "torch.nn", "shares"]
    for load in dict.fromkeys(p["load"] for p in busy["points"]):
        parts.append(f"\n### {load[0].upper()}{load[1:]}\n\n| {' | '.join(columns)} |\n|---" + "|--:" * 10 + "|\n")
        for p in (p for p in busy["points"] if p["load"] == load):
            times = [
                f"{p[f'{who}_ms']:.2f} / {p[f'{who}_p99_ms']:.2f}" for who in ("memfold", "memfold_one_thread", "torch")
            ]
            ratios = [f"{p[name]:.2f}" for name in ("ratio_one_thread", "p99_one_thread", "ratio_torch")]
            shares = f"{p['memfold_share']:.2f}, {p['torch_share']:.2f}" if "torch_share" in p else ""
            sizes = [str(p[name]) for name in ("batch", "steps", "hidden")]
            parts.append(f"| {' | '.join([p['mode'], *sizes, *times, *ratios, shares])} |\n")
    return "".join(parts)


def loaded_in_half(busy: dict[str, Any], half: dict[str, Any]) -> str:
    """What a busy machine makes of bfloat16, beside float32."""
    parts = [BUSY_HALF_HEAD]
    for load, mode in dict.fromkeys((p["load"], p["mode"]) for p in half["points"]):
        means = [
            geometric_mean([p[name] for p in results["points"] if (p["load"], p["mode"]) == (load, mode)])
            for name in ("ratio_one_thread", "ratio_torch")
            for results in (busy, half)
        ]
        parts.append(f"| {load} | {mode} | {' | '.join(f'{mean:.2f}' for mean in means)} |\n")
    return "".join(parts)


def table(points: list[dict[str, Any]], peers: list[str]) -> str:
    names = PEERS | {"memfold_float32": "float32"}
    columns = ["B", "T", "H", "memfold ms", *[f"{names[peer]} ms" for peer in peers], "ratio", "peak"]
    lines = [f"| {' | '.join(columns)} |\n" + "|--:" * len(columns) + "|\n"]
    for p in points:
        times = " | ".join(milliseconds(p.get(f"{who}_ms")) for who in ("memfold", *peers))
        sizes = f"{p['batch']} | {p['steps']} | {p['hidden']}"
        lines.append(f"| {sizes} | {times} | {p['ratio']:.2f} | {p['peak_percent']:.0f} % |\n")
    return "".join(lines)


def milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    main()
