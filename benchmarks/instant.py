"""The bundled forecaster beside the seasonal naive, Theta and AutoETS, on series that it has never seen.

The baselines are statsforecast's. A set's score is relative to the best of the three on that set, separately for the
MASE and for the weighted quantile loss. The development part, which lies before the test part, may be looked at as
often as wanted; the test part is for the table.

    pip download --no-deps --dest wheels aeon pmdarima sktime statsmodels vega_datasets
    python benchmarks/instant.py --wheels wheels --out instant
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import typer
from numpy.typing import NDArray

from instant_sets import SETS, SeriesSet, Wheels
from memfold.runtime.forecasting.classical import seasonal_unit
from memfold.runtime.forecasting.instant import InstantForecaster
from memfold.runtime.forecasting.size import LEVELS

Array = NDArray[np.float64]
OURS, THETA, ETS, NAIVE = "memfold", "Theta", "AutoETS", "SeasonalNaive"
BASELINES = (NAIVE, THETA, ETS)
MOST_HISTORY = 1500  # values that the baselines see of a series
COVERED = (20, 40, 60, 80)


def baseline_quantiles(histories: Sequence[Array], its: SeriesSet) -> tuple[dict[str, Array], dict[str, float]]:
    """The quantiles of the baselines by name, (N, K, Q), and the seconds that each took."""
    from statsforecast import StatsForecast
    from statsforecast.models import AutoETS, AutoTheta, SeasonalNaive

    rows = [
        pl.DataFrame({"unique_id": f"{k:06d}", "ds": np.arange(len(y)), "y": y})
        for k, y in enumerate(history[-MOST_HISTORY:] for history in histories)
    ]
    frame = pl.concat(rows)
    quantiles, seconds = {}, {}
    for name, kind in zip(BASELINES, (SeasonalNaive, AutoTheta, AutoETS), strict=True):
        begun = time.perf_counter()
        model = StatsForecast([kind(season_length=its.season, alias=name)], freq=1, fallback_model=SeasonalNaive(1))
        table = model.forecast(df=frame, h=its.horizon, level=list(COVERED)).sort("unique_id", "ds")
        seconds[name] = time.perf_counter() - begun
        order = [f"{name}-lo-{level}" for level in reversed(COVERED)] + [name] + [f"{name}-hi-{c}" for c in COVERED]
        found = table.select(order).to_numpy().reshape(len(histories), its.horizon, len(LEVELS))
        middle = found[..., len(LEVELS) // 2, None]
        quantiles[name] = np.where(np.isfinite(found), found, middle)
    return quantiles, seconds


def scores(quantiles: Array, histories: Sequence[Array], actual: Array, season: int) -> dict[str, float]:
    """The MASE, the weighted quantile loss, each series weighing alike, and how often the middle 80 % hold."""
    unit = np.array([seasonal_unit(y[None, -MOST_HISTORY:], season)[0] for y in histories])
    levels = np.array(LEVELS)
    error = actual[..., None] - quantiles
    loss = np.maximum(levels * error, (levels - 1) * error).mean(-1)  # (N, K)
    median = quantiles[..., len(LEVELS) // 2]
    return {
        "mase": float((np.abs(actual - median).mean(1) / unit).mean()),
        "wql": float((2 * loss.mean(1) / unit).mean()),
        "coverage80": float(100 * ((quantiles[..., 0] <= actual) & (actual <= quantiles[..., -1])).mean()),
    }


def geometric_mean(values: Sequence[float]) -> float:
    """Of numbers above 0."""
    return float(np.exp(np.mean(np.log(values))))


def shown(ratio: float | None) -> str:
    """A ratio, where there is one."""
    return "none" if ratio is None else f"{ratio:.3f}"


def main(
    wheels: Annotated[Path, typer.Option(help="Folder of the packages' wheels.")],
    out: Annotated[Path, typer.Option(help="Folder where the baselines' scores are kept.")],
    part: Annotated[str, typer.Option(help="dev or test.")] = "test",
    only: Annotated[str, typer.Option(help="Sets, with commas between.")] = "",
    weights: Annotated[Path | None, typer.Option(help="A checkpoint of a training; else the bundled weights.")] = None,
) -> None:
    """Score the bundled forecaster."""
    forecaster = InstantForecaster.bundled() if weights is None else _of_checkpoint(weights)
    known = Path(os.environ["MEMFOLD_DATA"])
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for name in only.split(",") if only else SETS:
        its = SETS[name](known, Wheels(wheels))
        windows = list(its.windows(part))
        histories = [history for history, _ in windows]
        actual = np.stack([future for _, future in windows])
        begun = time.perf_counter()
        quantiles = forecaster.quantiles(histories, its.horizon, [its.seasons] * len(histories))
        seconds = time.perf_counter() - begun
        kept = out / f"{name}-{part}.json"
        if not kept.exists():
            others, took = baseline_quantiles(histories, its)
            found = {
                other: scores(q, histories, actual, its.season) | {"seconds": took[other]}
                for other, q in others.items()
            }
            kept.write_text(json.dumps(found))
        beside = json.loads(kept.read_text())
        ours = scores(quantiles, histories, actual, its.season)
        best = {metric: min(beside[other][metric] for other in BASELINES) for metric in ("mase", "wql")}
        row = {
            "set": name,
            "windows": len(windows),
            # Where a baseline is without an error there is no ratio, and the set is not in the means.
            **{m: ours[m] / best[m] if best[m] > 0 else None for m in best},
            "ours": ours,
            "beside": beside,
        }
        rows.append(row | {"seconds": seconds})
        winner = min(BASELINES, key=lambda other: beside[other]["mase"])
        print(
            f"{name:16s} {len(windows):4d}  MASE {ours['mase']:.3f} best {best['mase']:.3f} ({winner}) "
            f"ratio {shown(row['mase'])}  WQL ratio {shown(row['wql'])}  coverage {ours['coverage80']:.1f}  "
            f"{seconds:.2f} s",
            file=sys.stderr,
            flush=True,
        )
    means = {
        metric: geometric_mean([row[metric] for row in rows if row[metric] is not None]) for metric in ("mase", "wql")
    }
    print(json.dumps({"part": part, "sets": rows, "geometric mean": means}, indent=1))
    print(f"geometric means: {means}", file=sys.stderr)


def _of_checkpoint(path: Path) -> InstantForecaster:
    import torch

    kept = torch.load(path, weights_only=True)
    return InstantForecaster.of({name: tensor.numpy() for name, tensor in kept["averaged"].items()})


if __name__ == "__main__":
    typer.run(main)
