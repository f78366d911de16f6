"""What a model's ``config.json`` may hold: every value is checked against the type of the field that it is for.

The types are those of the fields of a task's class: its parameters, and what fitting finds.
"""

import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints

from memfold.errors import InputError, shown

__all__ = ["check", "decode", "encode"]

LARGEST, MOST_FLOAT = 2**63 - 1, 1e30  # whose square fits into the types that reckon with them


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


def encode(value: Any) -> Any:
    """A value that fitting found, as JSON holds it: data classes become objects, tuples and arrays lists."""
    if hasattr(value, "as_json"):
        return value.as_json()
    if hasattr(value, "tolist"):  # an array, or a number of one
        return value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in fields(value) if field.init}
    if isinstance(value, dict):
        return {name: encode(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [encode(entry) for entry in value]
    return value


def decode(value: Any, hint: Any) -> Any:
    """The value of a type from what `encode` gave and `check` let pass.

    A class with ``from_json`` and ``json_types`` is read by the former, and checked as the latter says.
    """
    inner = get_args(hint)
    if hasattr(hint, "from_json"):
        return hint.from_json(value)
    if isinstance(hint, type) and is_dataclass(hint):
        field_hints = get_type_hints(hint)
        return hint(**{name: decode(entry, field_hints[name]) for name, entry in value.items()})
    kind: Any = get_origin(hint)
    if kind in (Union, types.UnionType):
        return None if value is None else decode(value, next(o for o in inner if o is not types.NoneType))
    if kind is tuple:
        hints = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        return tuple(decode(entry, hint) for entry, hint in zip(value, hints, strict=True))
    if kind in (list, Sequence):
        return [decode(entry, inner[0]) for entry in value]
    if kind in (dict, Mapping):
        return {name: decode(entry, inner[1]) for name, entry in value.items()}
    return float(value) if hint is float else value


def _fits(value: Any, hint: Any, place: str) -> bool:
    if isinstance(hint, dict):
        needed = {name for name, entry in hint.items() if not _may_be_missing(entry)}
        return _has_entries(value, hint, needed, place)
    if hasattr(hint, "json_types"):
        return _fits(value, hint.json_types(), place)
    if isinstance(hint, type) and is_dataclass(hint):
        field_hints = get_type_hints(hint)
        needed = {f.name for f in fields(hint) if f.default is MISSING and f.default_factory is MISSING}
        return _has_entries(value, {f.name: field_hints[f.name] for f in fields(hint)}, needed, place)
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
    for name, entry in value.items():
        if name not in hints:
            raise InputError(f"{place} has {shown(name)}, which is unknown there")
        check(entry, hints[name], f"{place}.{name}")
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
