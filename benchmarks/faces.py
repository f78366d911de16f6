"""Fit a recogniser of faces to @orl-faces, or to some of its people, and test on the others, whom it never saw.

With --heldout so many people, drawn by the seed, are left out of the training; their pictures 1 to 5 are enrolled
beside the others', and 6 to 10 are identified in that gallery and verified in pairs.

    python benchmarks/faces.py --budget 5m --seeds 3
    python benchmarks/faces.py --budget 5m --heldout 10 --seeds 3
"""

from typing import Annotated

import numpy as np
import typer

from memfold.data.images import Images, load_orl
from memfold.tasks import FaceRecognizer
from memfold.tasks.faces.task import EIGENFACES


def of(images: Images, people: set[str]) -> Images:
    """The pictures of some people."""
    return images.take(row for row, label in enumerate(images.labels) if label in people)


def main(
    budget: Annotated[str, typer.Option(help="Of each fit.")] = "5m",
    seeds: Annotated[int, typer.Option(help="Fits from so many seeds.")] = 1,
    heldout: Annotated[int, typer.Option(min=0, max=38, help="People to leave out of the training.")] = 0,
) -> None:
    scores: list[dict[str, float]] = []
    for seed in range(seeds):
        model = FaceRecognizer(seed=seed)
        train, test = load_orl(model.size)
        people = set(train.classes)
        strangers = set(np.random.default_rng(seed).permutation(train.classes)[:heldout].tolist())
        model.fit(of(train, people - strangers), budget=budget, progress=False)
        for person in sorted(strangers):
            enrolled = of(train, {person})
            model.enrol(person, enrolled.files)
        report = model.evaluate(of(test, strangers) if strangers else test, "@orl-faces")
        ours, theirs = report.metrics, report.baselines[EIGENFACES]
        scores.append({**ours, **{f"{EIGENFACES} {name}": value for name, value in theirs.items()}})
        print(f"seed {seed}: {scores[-1]}; {model.training_.speed('images')}", flush=True)
        print("\n".join(f"  {text}" for text in report.shown), flush=True)
    means = ", ".join(f"{name} {np.mean([row[name] for row in scores]):.2f}" for name in scores[0])
    print(f"@orl-faces, {budget}, {heldout} people held out, {seeds} fits: {means}")


if __name__ == "__main__":
    typer.run(main)
