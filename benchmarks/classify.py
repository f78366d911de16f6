"""Fit a text classifier from several seeds, or to all ten folds of a set, and compare it in pairs with its baseline.

Every fit learns from its training part alone and labels its test part once. The comparison is over the same texts: the
interval of the difference is that of a paired bootstrap, and each fit's p is McNemar's exact test.

    python benchmarks/classify.py @sst2 --budget 3m --seeds 3
    python benchmarks/classify.py @mr --budget 1m --folds
"""

from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from scipy.stats import binomtest

from memfold.tasks import TextClassifier

RESAMPLES = 10_000

Right = NDArray[np.bool_]


def correct_answers(model: TextClassifier, data: str, budget: str) -> tuple[Right, Right, Right]:
    """Fit to a set's training part; which texts of its test part the answer, the network alone and the baseline label
    rightly."""
    parts = model.parts([data])
    model.fit(parts.train, budget=budget, valid=parts.valid, progress=False)
    truth = np.array([model.classes_.index(label) for label in parts.test.labels])
    answers = model.answer(parts.test)
    baseline = model.labelling.baseline.log_probabilities(parts.test.texts)
    answer, network, simple = (part.argmax(1) == truth for part in (answers.probabilities, answers.network, baseline))
    return answer, network, simple


def interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    """The middle 95 % of the mean over resampled texts."""
    rng = np.random.default_rng(0)
    means = [rng.choice(differences, len(differences)).mean() for _ in range(RESAMPLES)]
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def main(
    data: Annotated[str, typer.Argument(help="@NAME of a known set.")],
    budget: Annotated[str, typer.Option(help="Of each fit.")] = "1m",
    seeds: Annotated[int, typer.Option(help="Fits from so many seeds.")] = 1,
    folds: Annotated[bool, typer.Option("--folds", help="All ten folds, for a set without a test part.")] = False,
) -> None:
    ours, alone, theirs, gains, gains_alone = [], [], [], [], []
    for fold in range(10 if folds else 1):
        runs, runs_alone = [], []
        for seed in range(seeds):
            task = TextClassifier(**TextClassifier.known_parameters([data]), fold=fold, seed=seed)
            model, network, baseline = correct_answers(task, data, budget)
            won, lost = int((model & ~baseline).sum()), int((~model & baseline).sum())
            p = binomtest(won, won + lost).pvalue if won + lost else 1.0
            print(
                f"fold {fold} seed {seed}: accuracy {100 * model.mean():.2f}, the network alone "
                f"{100 * network.mean():.2f}, baseline {100 * baseline.mean():.2f}, "
                f"right where the other is wrong {won} to {lost}, p {p:.2g}",
                flush=True,
            )
            runs.append(model.astype(float))
            runs_alone.append(network.astype(float))
            ours.append(100 * model.mean())
            alone.append(100 * network.mean())
            theirs.append(100 * baseline.mean())
        gains.append(np.mean(runs, axis=0) - baseline)
        gains_alone.append(np.mean(runs_alone, axis=0) - baseline)
    print(f"{data}, {budget}: baseline {np.mean(theirs):.2f}")
    for name, scores, apart in (("the answer", ours, gains), ("the network alone", alone, gains_alone)):
        low, high = interval(100 * np.concatenate(apart))
        print(
            f"{name}: accuracy {np.mean(scores):.2f} (spread {np.std(scores):.2f}); "
            f"above the baseline by {low:.2f} to {high:.2f}"
        )


if __name__ == "__main__":
    typer.run(main)
