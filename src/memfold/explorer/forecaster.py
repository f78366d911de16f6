"""A person's own forecaster for the page: its first network over a window of one of the person's series."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from memfold.data.tables import TIME
from memfold.errors import InputError
from memfold.explorer.packing import layer_values, packed, packed_layers, unpacked
from memfold.runtime.forecasting.blend import Answer, Blend, Parts
from memfold.runtime.forecasting.forecasting import Forecasting
from memfold.runtime.forecasting.network import EnsembleForecasts
from memfold.runtime.forecasting.parts import parts_at
from memfold.runtime.forecasting.size import NetworkSize
from memfold.runtime.forecasting.windows import Places, SeriesArrays, Windows, level_and_scale, standardised
from memfold.runtime.recipe import ALONE
from memfold.runtime.weights import Weights
from memfold.tasks.forecast import Forecaster
from memfold.tasks.registry import load

__all__ = ["FirstNetwork", "forecaster_page"]

Array = NDArray[Any]
MOST_STEPS = 400  # that the page reads; parts/state.js has the same number
MOST_BYTES = 1_200_000  # of network and window, so that the page stays below 1.5 MB
SCORED_WINDOWS = 20  # at the end of the series, a horizon apart


@dataclass(frozen=True)
class FirstNetwork:
    """The first of a forecaster's networks, without what else its answer is blended from.

    Attributes:
        arrays: by their names in the network.
        size: of the network.
        blend: the whole answer's, of which the network takes how intervals are stretched.
    """

    arrays: dict[str, Array]
    size: NetworkSize
    blend: Blend

    @classmethod
    def of(cls, model: Forecaster, forecasting: Forecasting) -> "FirstNetwork":
        """That of a fitted model."""
        prefix = "members.0."
        stored = {name: tensor.numpy() for name, tensor in model.network_.state_dict().items()}
        arrays = {name.removeprefix(prefix): array for name, array in stored.items() if name.startswith(prefix)}
        alone = Blend({ALONE: 1.0}, {ALONE: 1.0}, forecasting.blend.spread, forecasting.blend.stretch)
        return cls(arrays, model.size_, alone)

    @property
    def parameters(self) -> int:
        """How many numbers it has."""
        return sum(array.size for array in self.arrays.values())

    @property
    def layers(self) -> list[tuple[str, dict[str, Array]]]:
        """Its recurrent layers, a cell's name and its weights."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = [{name: self.arrays[f"lstm.{name}_l{k}"] for name in names} for k in range(self.size.num_layers)]
        return [("lstm", one) for one in weights]

    def rounded(self) -> "FirstNetwork":
        """The same with its matrices rounded as a page holds them."""
        arrays = {name: unpacked(packed(array)).astype(np.float32) for name, array in self.arrays.items()}
        return FirstNetwork(arrays, self.size, self.blend)

    def quantiles(self, windows: Windows) -> Array:
        """What follows each window, (B, K, Q), in the units of the series."""
        weights = Weights({f"members.0.{name}": array for name, array in self.arrays.items()})
        return EnsembleForecasts(weights, self.size, 1)(windows)

    def answer(self, data: SeriesArrays, places: Places) -> tuple[Answer, Parts]:
        """What it alone answers to what follows these places, in the units of the series."""
        parts = parts_at(self.quantiles, data, places, self.size, None, 0, target=False)
        return self.blend.answer(parts), parts

    def packed(self) -> dict[str, Any]:
        """As a page holds it."""
        names = {"summary": "summary", "decoder": "decoder.0", "out": "decoder.3"}
        parts = {
            key: {name: packed(self.arrays[f"{prefix}.{name}"]) for name in ("weight", "bias")}
            for key, prefix in names.items()
        }
        head = {**parts, "stepCode": packed(self.arrays["step_code"])}
        if self.size.linear:
            head["linear"] = packed(self.arrays["linear.weight"])
        size = {name: getattr(self.size, name) for name in ("context", "horizon", "patch")}
        kept = {**size, "lags": list(self.size.lags), "stretch": self.blend.stretch.tolist()}
        return {"layers": packed_layers(self.layers), "forecast": {**head, **kept}}


def forecaster_page(folder: Path, file: Path | None) -> dict[str, Any]:
    """A forecaster over the window before the last horizon of a series, whose end then shows the actual values.

    Args:
        file: a table of series as it was fitted to; of several the first is shown.

    Raises:
        InputError: no table, one that does not fit, or a network that the page cannot hold.
    """
    if file is None:
        raise InputError(f"{folder}: a forecaster is shown over a series; give it the table by --text")
    model = cast(Forecaster, load(folder))
    size = model.size_
    steps = size.context // size.patch
    if steps > MOST_STEPS:
        raise InputError(f"{folder}: its window is {steps:,} steps of the network; the page shows {MOST_STEPS} at most")
    forecasting = cast(Forecasting, model.pipeline)
    network = FirstNetwork.of(model, forecasting)
    table = model.read(file)
    if table.step != model.step_:
        raise InputError(f"{file}: the rows are {table.step} apart, those the model was fitted to {model.step_}")
    data = model.arrays(table)
    length, horizon = int(data.lengths[0]), size.horizon
    if length <= horizon:
        raise InputError(
            f"{file}: series {table.ids[0]!r} has {length} values; more than the horizon of {horizon} are needed"
        )
    page = network.packed()
    place = Places(np.array([0]), np.array([length - horizon]))
    window = data.windows(place, size, target=True)
    rounded = network.rounded()
    whole = forecasting.blend.answer(forecasting.parts(data, place))
    _, parts = rounded.answer(data, place)
    page["forecast"] |= {
        **_beside(window, size),
        "counts": bool(parts.counts[0]),
        "demand": bool(parts.demand[0]),
        "actual": _short(_target(window)),
        "whole": _short(whole.point[0]),
        "times": [str(time) for time in table.times.written(table.known[TIME][length - horizon : length])],
    }
    seen = window.y[0][window.seen[0]]
    scored = _places(length, size)
    facts = {
        "kind": "forecaster",
        "folder": folder.resolve().name,
        "units": size.hidden_size,
        "parameters": f"{network.parameters:,}",
        "series": table.ids[0],
        "many": len(table.ids),
        "horizon": horizon,
        "windows": len(scored.series),
        "error": _error(network.answer(data, scored)[0], data, scored, horizon),
        "packed_error": _error(rounded.answer(data, scored)[0], data, scored, horizon),
        "left": [
            {
                "name": "blend",
                "share": f"{forecasting.blend.shares[ALONE]:.0%}",
                "members": forecasting.settings.members - 1,
                "error": _error(forecasting.blend.answer(forecasting.parts(data, scored)), data, scored, horizon),
            }
        ],
    }
    hero = {
        "text": " ".join(f"{value:.7g}" for value in seen),
        "step": steps // 4,
        "layer": size.num_layers - 1,
        "unit": _unit(rounded, window),
        "value": "c",
        "held": 0,
        "event": None,
    }
    name = folder.resolve().name
    page |= {"name": name, "hero": hero, "facts": facts, "probe": hero["text"], "temperature": 1}
    if (taken := len(json.dumps(page))) > MOST_BYTES:
        raise InputError(
            f"{folder}: its network of {network.parameters:,} numbers and a window of {size.context:,} steps take "
            f"{taken / 1e6:.1f} MB; the page has {MOST_BYTES / 1e6:.1f} for them"
        )
    return page


def _short(values: Array) -> list[float | None]:
    """Values with the digits that count, None where there is none."""
    return [float(f"{value:.7g}") if np.isfinite(value) else None for value in values.tolist()]


def _target(window: Windows) -> Array:
    assert window.target is not None
    target: Array = window.target[0]
    return target


def _beside(window: Windows, size: NetworkSize) -> dict[str, Any]:
    """What the network reads beside the values: a row a step of the window and of the horizon."""
    read = np.concatenate([window.past[0], window.known[0, : size.context]], 1)
    return {
        "columns": read.shape[1],
        "beside": packed(read.ravel()),
        "ahead": packed(window.known[0, size.context :].ravel()),
        "static": packed(window.static[0]),
    }


def _places(length: int, size: NetworkSize) -> Places:
    """Where the windows end that the scores are of: a horizon apart, the last one a horizon before the end."""
    origins = length - size.horizon * np.arange(1, SCORED_WINDOWS + 1)
    kept = origins[(origins >= size.context) | (origins == origins[0])]
    return Places(np.zeros(len(kept), np.int64), kept)


def _error(answer: Answer, data: SeriesArrays, places: Places, horizon: int) -> str:
    """The mean absolute error of answers."""
    return f"{np.nanmean(np.abs(answer.point - data.targets(places, horizon))):.4g}"


def _unit(network: FirstNetwork, window: Windows) -> int:
    """The unit of the last layer whose forgetting moves the forecast most: of all but what the last step wrote."""
    size, arrays = network.size, network.arrays
    z = standardised(window.y, *level_and_scale(window.y, window.seen))
    read = [np.where(window.seen, z, 0.0), window.seen, window.past, window.known[:, : size.context]]
    x = np.concatenate([part.reshape(size.context, -1) for part in read], 1).reshape(size.context // size.patch, -1)
    last = {name: values[-1] for name, values in layer_values(x, network.layers)[-1].items()}
    moved = last["o"] * np.tanh(last["i"] * last["g"]) - last["h"]
    as_it_is = network.quantiles(window)
    changes = []
    for unit, by in enumerate(moved.astype(np.float32)):
        bias = arrays["summary.bias"] + arrays["summary.weight"][:, unit] * by
        changed = FirstNetwork({**arrays, "summary.bias": bias}, size, network.blend)
        changes.append(np.abs(changed.quantiles(window) - as_it_is).mean())
    return int(np.argmax(changes))
