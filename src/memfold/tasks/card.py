"""The card that lies in the folder of a model: what made it, how it was trained, what was chosen, its scores."""

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

from memfold.tasks.planning import Plan
from memfold.tasks.report import Report

if TYPE_CHECKING:
    from memfold.tasks.state import State

__all__ = ["model_card"]


def model_card(model: "State", report: Report | None, command: str) -> str:
    """A fitted model's card, in Markdown.

    Args:
        report: scores, where it was evaluated.
        command: what made the model, where a command did.
    """
    import torch

    result = model.training_
    lines = [
        f"# A memfold {model.name} model",
        "",
        f"Made by `{command or repr(model)}`.",
        "",
        f"- training: {result.steps} steps in {result.seconds:.0f} s, ended by {result.stopped}; "
        f"best validation score {result.best_score:.4f} at step {result.best_step}; seed {model.seed}",
        f"- {model.parameter_count:,} parameters; memfold {version('memfold')}, torch {version('torch')}, "
        f"{platform.machine()}, {torch.get_num_threads()} threads",
    ]
    if model.plan_:
        lines.append(f"- chosen from the data and the machine: {Plan(model.plan_)}")
    if model.contest_ is not None:
        lines.append(f"- {model.contest_}")
    if report is not None:
        lines += _scores(report)
    lines += ["", "The weights bear the licence that you give them; mind that of the data.", ""]
    return "\n".join(lines)


def _scores(report: Report) -> list[str]:
    """A table of the model's scores and the baselines', and how they were computed where that is known."""
    names = list(report.metrics)
    lines = [f"- data: {report.data}", "", f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for name, scores in {"this model": report.metrics, **report.baselines}.items():
        cells = [f"{scores[n]:.4g}" if n in scores else "" for n in names]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    if report.signatures:
        lines += ["", *(f"- {name}: `{text}`" for name, text in report.signatures.items())]
    return lines
