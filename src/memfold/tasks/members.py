"""``fit --members N``: networks that are trained side by side, in the tasks that average several."""

from collections.abc import Sequence

from memfold.errors import InputError
from memfold.tasks.parameters import parameters_of
from memfold.tasks.registry import TASKS, task_class

__all__ = ["members_setting"]


def members_setting(task: str, members: int, settings: Sequence[str]) -> str:
    """The setting that asks for so many members.

    Args:
        settings: that are given beside it.

    Raises:
        InputError: the task has no members, or the settings give another number.

    >>> members_setting("forecast", 4, [])
    'members=4'
    """
    if not _has_members(task):
        others = ", ".join(name for name in TASKS if _has_members(name))
        raise InputError(f"--members: {task} trains one network; {others} have members")
    given = next((text.partition("=")[2] for text in settings if text.startswith("members=")), str(members))
    if given != str(members):
        raise InputError(f"--members {members} and --set members={given}: give one of them")
    return f"members={members}"


def _has_members(task: str) -> bool:
    return any(p.name == "members" for p in parameters_of(task_class(task)))
