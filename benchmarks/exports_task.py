"""One task of exports.py: fit it for a short time, export it, and score what was exported beside the model.

python benchmarks/exports_task.py '{"task": "generate", "data": ["@tinyshakespeare"], "settings": {}, ...}'
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from memfold.errors import InputError
from memfold.export import export
from memfold.tasks.registry import load, task_class


def fit(job: dict[str, Any], folder: Path) -> None:
    """Fit a model as ``memfold fit`` does, without the scoring."""
    kind = task_class(job["task"])
    model = kind(**{**kind.known_parameters(job["data"]), **job["settings"]})
    parts = model.parts(job["data"])
    model.fit(parts.train, budget=job["budget"], valid=parts.valid)
    model.save(folder)


def exported(job: dict[str, Any], folder: Path, to: str, place: Path) -> dict[str, Any]:
    """What ``memfold export`` says of a form; the reason where there is none."""
    model = load(folder)
    recipe = model.recipe()
    steps = recipe.steps if to == "step" else recipe.parts
    parts = model.parts(job["data"])
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    out = place / ("model.onnx" if len(steps) == 1 and not recipe.files else "model")
    try:
        done = export(folder, to, out, check=parts.test, name=" ".join(job["data"]), scoring=parts.scoring)
    except InputError as error:
        return {"refused": str(error)}
    return {name: value for name, value in done.as_json().items() if name != "out"}


def main() -> None:
    """Do the job, and print what was exported as JSON."""
    job = json.loads(sys.argv[1])
    folder = Path(job["folder"]) / "models" / job["name"]
    if not (folder / "config.json").exists():
        fit(job, folder)
    forms = {to: exported(job, folder, to, folder.parents[1] / "exported" / job["name"] / to) for to in job["forms"]}
    print(json.dumps(forms))


if __name__ == "__main__":
    main()
