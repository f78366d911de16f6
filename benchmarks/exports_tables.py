"""The page of exports.py from its cells."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from memfold.tasks.registry import task_class

__all__ = ["page"]

TIMED = {"real_time_factor"}  # a metric that depends on how fast the machine is
Entry = Mapping[str, Any]
HEAD = """# Exported models

Written by `python benchmarks/exports.py --write benchmarks/exports.md`; do not edit. *Others* is how much other
programs worked meanwhile, in cores: seconds and microseconds depend on it, differences and scores do not.
"""
TASKS = """## The tasks on real data

Each fitted for the budget shown, which is too short for good scores, and exported with the test part as `--check`.
*Difference* is the largest from torch over a part's examples, as a share of an output's largest value or of 1. *Model*
and *exported* are the first metric by the model and with the exported parts in place of its network; *equal* says
whether they are the same to the digits shown, *unequal* names every metric that is not.
anomaly is one of NAB's 58 series, `realKnownCause/nyc_taxi`; forecast is fitted with `pretrained=false`, as the bundled
forecaster is in no file.
"""
SPEED = """## ONNX Runtime beside memfold's runtime

Without torch, in turns in one process, one thread each, the best of several rounds; the mean of a call. *Ratio* is the
time of ONNX Runtime over memfold's: above 1 memfold is faster. *Difference* is the largest between both answers.
"""
LAYERS = """## torch's own exporter beside memfold's

`torch.onnx.export(dynamo=True)` of a layer of torch.nn with free axes of time and batch, given in each of the three
ways that torch.export takes, and memfold's export of a layer with the same weights. The example has 7 steps of 3 rows;
*another batch* is what ONNX Runtime makes of 7 steps of 2 rows, *another length* of 11 steps of 3: the largest
difference from torch.nn, or what it says.
"""
WEIGHTS = """## Weights that are read

The largest difference between a layer that `memfold.formats.load_weights` reads and what wrote its file: torch.nn
(state dicts as .pt and .safetensors; memfold's own options as .pt), ONNX Runtime on a file with one node, and Keras 3,
whose answers stand in a file of the tests to seven digits after the point. 40 steps of 3 rows but for Keras.
"""
FORMS = {
    "named": "torch, Dim(name)",
    "auto": "torch, Dim.AUTO",
    "dynamic": "torch, Dim.DYNAMIC",
    "memfold": "memfold",
}


def page(entries: Sequence[Entry]) -> str:
    """All that was measured, in Markdown."""
    sections: dict[str, Callable[[list[Entry]], Iterable[str]]] = {
        "task": task_lines,
        "speed": speed_lines,
        "layers": layer_lines,
        "weights": weight_lines,
    }
    lines = [HEAD]
    for kind, section in sections.items():
        if some := [entry for entry in entries if entry["kind"] == kind]:
            lines += [*section(some), ""]
    return "\n".join(lines)


def table(head: str, rows: Iterable[Sequence[str]]) -> list[str]:
    """A table; columns whose name begins with ``>`` are set to the right."""
    names = head.split(" | ")
    marks = ["--:" if name.startswith(">") else "---" for name in names]
    lines = [" | ".join(name.lstrip(">") for name in names), " | ".join(marks), *(" | ".join(row) for row in rows)]
    return [f"| {line} |" for line in lines]


def task_lines(entries: list[Entry]) -> Iterable[str]:
    """Parts, scores and what was left out."""
    yield TASKS
    forms = [(entry, to, form) for entry in entries for to, form in entry["result"].items()]
    done = [(entry, to, form) for entry, to, form in forms if "refused" not in form]
    yield from table(
        "task | to | part | >difference | >nodes | >kB | >export s",
        ([entry["name"], to, *part_row(part)] for entry, to, form in done for part in form["parts"]),
    )
    yield ""
    yield from table(
        "task | to | budget | metric | >model | >exported | equal | metrics equal | unequal | >cores of others",
        (
            [entry["name"], to, entry["job"]["budget"], *scores(entry["job"]["task"], form), f"{entry['others']:.1f}"]
            for entry, to, form in done
        ),
    )
    yield "\nNot in the files:\n"
    yield from (
        f"* {entry['name']}: {'; '.join(form['left_out']) or 'nothing is left out'}"
        for entry, to, form in done
        if to == "onnx"
    )
    yield from (
        f"* {entry['name']} as {to}: refused: {form['refused']}" for entry, to, form in forms if "refused" in form
    )


def part_row(part: Entry) -> list[str]:
    size = f"{part['bytes'] / 1000:,.0f}"
    return [part["name"], f"{part['difference']:.1e}", str(part["nodes"]), size, f"{part['seconds']:.1f}"]


def scores(task: str, form: Entry) -> list[str]:
    """The task's first metric, its values, whether they are equal as shown, and which of the others are not."""
    model, exported = form["scores"]["the model"], form["scores"]["exported"]
    shown = {name: [f"{values[name]:.4f}" for values in (model, exported)] for name in model if name not in TIMED}
    first = next(metric.name for metric in task_class(task).metrics if metric.name in shown)
    differ = [f"{name} {before} {after}" for name, (before, after) in shown.items() if before != after]
    equal = "yes" if len(set(shown[first])) == 1 else "**no**"
    return [first, *shown[first], equal, f"{len(shown) - len(differ)} of {len(shown)}", ", ".join(differ)]


def speed_lines(entries: list[Entry]) -> Iterable[str]:
    """Both runtimes, a row a form."""
    yield SPEED
    yield entries[0]["result"]["machine"] + ".\n"
    rows = [(entry, row) for entry in entries for row in entry["result"]["rows"]]
    yield from table(
        "task | what | form | >memfold µs | >ONNX Runtime µs | >ratio | >difference | >others",
        ([entry["name"], *speed_row(row), f"{entry['others']:.1f}"] for entry, row in rows),
    )


def speed_row(row: Entry) -> list[str]:
    times = [f"{row[name]:.1f}" for name in ("memfold", "onnx")]
    return [row["what"], row["form"], *times, f"{row['onnx'] / row['memfold']:.2f}", f"{row['difference']:.1e}"]


def layer_lines(entries: list[Entry]) -> Iterable[str]:
    """What became of each layer in each way."""
    yield LAYERS
    rows = [(entry, way, it) for entry in entries for way, it in entry["result"].items()]
    yield from table(
        "layer | by | >nodes | recurrent nodes | >difference | another batch | another length",
        ([entry["name"], FORMS[way], *layer_row(it)] for entry, way, it in rows),
    )


def layer_row(it: Entry) -> list[str]:
    if "refused" in it:
        return ["", "", "", "", f"not exported: {it['refused']}"]
    counts = [f"{it['recurrent'].count(name)} {name}" for name in dict.fromkeys(it["recurrent"])]
    return [str(it["nodes"]), ", ".join(counts) or "none", *(outcome(it[name]) for name in ("same", "batch", "length"))]


def outcome(answer: Entry) -> str:
    """What a file made of an input."""
    if "difference" in answer:
        return f"{answer['difference']:.1e}"
    if "shape" in answer:
        return f"**answers {answer['shape']} in silence**, where {answer['expected']} is right"
    return f"refused: {answer['refused']}"


def weight_lines(entries: list[Entry]) -> Iterable[str]:
    """A row a layer that was read."""
    yield WEIGHTS
    rows = [(entry["name"], row) for entry in entries for row in entry["result"]]
    yield from table(
        "file | layer | options | >difference",
        ([name, row["layer"], options(row["options"]), f"{row['difference']:.1e}"] for name, row in rows),
    )


def options(given: Entry) -> str:
    return ", ".join(f"{name}={value}" for name, value in given.items())
