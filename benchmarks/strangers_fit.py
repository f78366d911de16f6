"""One training of strangers.py, with the memfold that is installed or on PYTHONPATH, 0.1.0 too; prints its report.

python benchmarks/strangers_fit.py '{"task": "sentiment", "train": ["train.csv"], "test": ["test.csv"], ...}'
"""

import json
import sys
import time
from typing import Any


def settings_of(kind: Any, texts: list[str]) -> dict[str, Any]:
    """Values of parameters from ``name=value``."""
    from memfold.tasks import parameters

    if not hasattr(parameters, "parameters_of"):  # 0.1.0
        found: dict[str, Any] = parameters.parse_settings(kind, kind.name, texts)  # type: ignore[arg-type]
        return found
    hints = {p.name: p.hint for p in parameters.parameters_of(kind)}
    return parameters.parse_settings(hints, kind.name, texts)


def main() -> None:
    job = json.loads(sys.argv[1])
    earlier = False
    try:
        from memfold.tasks.registry import task_class
    except ImportError:
        from memfold.tasks.base import task_class  # type: ignore[import-not-found, no-redef]

        earlier = True
    kind = task_class(job["task"])
    named = [f"@{job['named']}"] if job["named"] else []
    chosen = dict(kind.known_parameters(named)) if named else settings_of(kind, job["asked"])
    model = kind(**chosen, seed=job["seed"])
    scoring: dict[str, Any] = dict(job["scoring"])
    if named or not job["test"]:  # as the set, or the task, holds out a part
        parts = model.parts(named or job["train"])
        train, test, valid, scoring = parts.train, parts.test, parts.valid, {**parts.scoring, **scoring}
    else:
        train, test, valid = model.read_files(job["train"]), None, None
    if earlier and "origin_step" in scoring:
        scoring["every"] = scoring.pop("origin_step")
    begun = time.monotonic()
    model.fit(train, budget=job["budget"], valid=valid)
    seconds = time.monotonic() - begun
    test = model.read_files(job["test"]) if test is None else test
    report = model.evaluate(test, job["name"], **scoring).as_json()
    print(json.dumps({**report, "seconds": round(seconds, 1)}))


if __name__ == "__main__":
    main()
