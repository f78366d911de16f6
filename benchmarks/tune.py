"""Search for better parameters, beside a fit of the default in the same time in all; each scores its test part once.

The search fits its trials, and the best of them and the default once more, within the time that the fit has alone. The
scoring and the reading of the data are counted in neither.

    python benchmarks/tune.py command @fsdd --budget 90s --trials 5 --seeds 3
    python benchmarks/tune.py classify ants-bees --budget 90s --trials 5 --seeds 3
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import typer

from memfold.tasks.registry import task_class
from memfold.tune import tune


def default_scores(task: str, data: list[str], budget: str, seed: int) -> dict[str, float]:
    """The metrics of a fit without a search."""
    kind = task_class(task)
    model = kind(**kind.known_parameters(data), seed=seed)
    parts = model.parts(data)
    model.fit(parts.train, budget=budget, valid=parts.valid, progress=False)
    return model.evaluate(parts.test, " ".join(data), **parts.scoring).metrics


def main(
    task: str,
    data: list[str],
    budget: Annotated[str, typer.Option(help="Time in all, of the search and of the fit alone.")] = "90s",
    trials: Annotated[int, typer.Option(help="Of the search, at most.")] = 5,
    seeds: Annotated[int, typer.Option(help="Of both.")] = 3,
) -> None:
    rows: list[tuple[float, float]] = []
    name = task_class(task).metrics[0].name
    for seed in range(seeds):
        alone = default_scores(task, data, budget, seed)
        with TemporaryDirectory() as folder:
            result = tune(task, data, Path(folder) / "model", trials=trials, budget=budget, seed=seed)
        assert result.report is not None
        searched = result.report.metrics
        rows.append((searched[name], alone[name]))
        settings = json.dumps(dict(result.settings))
        print(
            f"seed {seed}: {name} with a search {searched[name]:.2f} (trial {result.best} of {len(result.trials)}, "
            f"{settings}), the default alone {alone[name]:.2f}",
            flush=True,
        )
    with_search, alone_scores = (np.array(column) for column in zip(*rows, strict=True))
    print(
        f"{task} {' '.join(data)}, {budget} each, {seeds} seeds: {name} with a search {with_search.mean():.2f} "
        f"(spread {with_search.std():.2f}), the default alone {alone_scores.mean():.2f} (spread "
        f"{alone_scores.std():.2f})"
    )


if __name__ == "__main__":
    typer.run(main)
