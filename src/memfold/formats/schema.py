"""What a model's ``config.json`` may hold: every value is checked against the type of the field that it is for.

The types are those that a task's constructor names for its parameters, and that ``Task.fitted_types`` names for what
fitting found.
"""

import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints

from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

from memfold.errors import InputError, shown

__all__ = ["at_most_tensors", "check", "check_parameters", "check_sizes"]

LARGEST, MOST_FLOAT = 2**63 - 1, 1e30  # whose square fits into the types that reckon with them
MOST = {"beam": 10_000, "rate": 768_000, "size": 8192, "window": 100_000, "every": 10**6, "fold": 10**6}
MOST |= dict.fromkeys(("members", "num_layers", "layers", "blocks", "convolutions"), 1000)
MOST |= dict.fromkeys(("encoder_layers", "decoder_layers"), 1000)


def check(value: Any, hint: Any, place: str) -> None:
    """Hold a value of JSON against a type.

    Args:
        hint: ``int``, ``float``, ``str``, ``bool``, a `Literal`, a union, a list, tuple, sequence or mapping of such, a
            data class, or a dictionary of names and hints, some of them `NotRequired`.
        place: of the value in the file, such as ``fitted.size.horizon``.

    Raises:
        InputError: it is of another type, is no finite number, or has an entry too many or too few.
    """
    if not _fits(value, hint, place):
        raise InputError(f"{place} is {shown(value)}, expected {_words(hint)}")


def check_parameters(task: type, parameters: Any) -> None:
    """Hold what ``config.json`` says of a task's parameters against its constructor.

    One that is not named there has its default, as in a model from before there was such a parameter.

    Raises:
        InputError: as of `check` and `check_sizes`.
    """
    hints = get_type_hints(task.__init__)  # type: ignore[misc]
    hints.pop("return", None)
    check(parameters, {name: NotRequired[hint] for name, hint in hints.items()}, "parameters")
    check_sizes(parameters)


def check_sizes(parameters: Mapping[str, Any]) -> None:
    """Refuse a parameter that would cost more time or memory than any data is worth, and one that cannot teach.

    Raises:
        InputError: it is above its bound, or a learning rate is not above 0.
    """
    for name, most in MOST.items():
        value = parameters.get(name)
        if isinstance(value, int | float) and value > most:
            raise InputError(f"{name} must be at most {most}, got {value}")
    rate = parameters.get("lr")
    if isinstance(rate, int | float) and not rate > 0:
        raise InputError(f"lr must be above 0, got {rate}")


@contextmanager
def at_most_tensors(stored: int) -> Iterator[None]:
    """While networks are made, refuse one that has far more tensors than the file of its weights.

    A number of layers or members costs time to make, before any shape can be compared.

    Raises:
        InputError: there are more.
    """
    made = 0

    def count(module: nn.Module, name: str, tensor: Tensor | None) -> None:
        nonlocal made
        made += tensor is not None
        if made > 2 * stored + 50:  # tied ones are made twice, and some are not saved
            raise InputError(f"more tensors than the {stored} of the weights")

    hooks = [
        register_module_parameter_registration_hook(count),
        register_module_buffer_registration_hook(count),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _fits(value: Any, hint: Any, place: str) -> bool:
    if isinstance(hint, dict):
        needed = {name for name, own in hint.items() if not _may_be_missing(own)}
        return _has_entries(value, hint, needed, place)
    if isinstance(hint, type) and is_dataclass(hint):
        own = get_type_hints(hint)
        needed = {f.name for f in fields(hint) if f.default is MISSING and f.default_factory is MISSING}
        return _has_entries(value, {f.name: own[f.name] for f in fields(hint)}, needed, place)
    kind: Any = get_origin(hint)
    inner = get_args(hint)
    if _may_be_missing(hint):
        return _fits(value, inner[0], place)
    if kind is Literal:
        return value in inner and isinstance(value, str)
    if kind in (Union, types.UnionType):
        return any(_fits(value, option, place) for option in inner)
    if kind is tuple and inner[-1] is not Ellipsis:
        return isinstance(value, list) and len(value) == len(inner) and _all(value, inner, place)
    if kind in (list, tuple, Sequence):
        return isinstance(value, list) and _all(value, [inner[0]] * len(value), place)
    if kind in (dict, Mapping):
        return isinstance(value, dict) and _all(value.values(), [inner[1]] * len(value), place)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MOST_FLOAT
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST
    return type(value) is hint


def _may_be_missing(hint: Any) -> bool:
    kind: Any = get_origin(hint)
    return kind is NotRequired


def _all(values: Any, hints: Sequence[Any], place: str) -> bool:
    return all(_fits(value, hint, place) for value, hint in zip(values, hints, strict=True))


def _has_entries(value: Any, hints: Mapping[str, Any], needed: set[str], place: str) -> bool:
    if not isinstance(value, dict):
        return False
    for name in sorted(needed - value.keys()):
        raise InputError(f"{place} has no {name!r}")
    for name, own in value.items():
        if name not in hints:
            raise InputError(f"{place} has {shown(name)}, which is unknown there")
        check(own, hints[name], f"{place}.{name}")
    return True


def _words(hint: Any) -> str:
    if isinstance(hint, dict) or is_dataclass(hint):
        return "an object"
    kind: Any = get_origin(hint)
    inner = get_args(hint)
    if _may_be_missing(hint):
        return _words(inner[0])
    if kind is Literal:
        return " or ".join(inner)
    if kind in (Union, types.UnionType):
        return " or ".join(_words(option) for option in inner)
    if kind in (dict, Mapping):
        return f"an object, each entry {_words(inner[1])}"
    if kind in (list, tuple, Sequence):
        return f"a list, each entry {_words(inner[0])}"
    return {int: "a whole number", float: "a number", str: "text", bool: "true or false"}.get(hint, "null")
