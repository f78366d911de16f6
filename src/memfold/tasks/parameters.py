"""``--set name=value``: text into the type that a task's constructor, or another of its functions, names."""

import inspect
from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from memfold.errors import InputError

__all__ = ["parse_settings"]


def parse_settings(function: Callable[..., Any], owner: str, settings: Sequence[str]) -> dict[str, Any]:
    """The arguments that a list of ``name=value`` texts gives.

    Args:
        function: a task's class, or one of its functions whose keywords can be set.
        owner: what to call it in an error.

    Raises:
        InputError: a text of another form, a name the function does not have, or a value of the wrong type.
    """
    hints = get_type_hints(function.__init__ if inspect.isclass(function) else function)
    parameters = inspect.signature(function).parameters.values()
    names = [p.name for p in parameters if p.default is not p.empty and p.name != "seed"]
    parsed = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--set {text!r}: expected NAME=VALUE")
        if name not in names:
            has = f"it has {', '.join(names)}" if names else "it has none"
            raise InputError(f"--set {text}: {owner} has no parameter {name!r}; {has}")
        try:
            parsed[name] = _value(hints[name], value)
        except (ValueError, KeyError):
            raise InputError(f"--set {text}: expected {_words(hints[name])}") from None
    return parsed


def _value(hint: Any, text: str) -> Any:
    if get_origin(hint) is Literal:
        if text not in get_args(hint):
            raise ValueError(text)
        return text
    if get_origin(hint) is Sequence:
        (element,) = get_args(hint)
        return tuple(_value(element, part.strip()) for part in text.split(",") if part.strip())
    if options := get_args(hint):  # a union with None
        if text.lower() == "none" and NoneType in options:
            return None
        return _value(next(option for option in options if option is not NoneType), text)
    if hint is bool:
        return {"true": True, "false": False}[text.lower()]
    return hint(text)


def _words(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " or ".join(get_args(hint))
    if get_origin(hint) is Sequence:
        return f"{_words(get_args(hint)[0])}, or several with commas between"
    if options := get_args(hint):
        return _words(next(option for option in options if option is not NoneType))
    return {int: "a whole number", float: "a number", str: "text", bool: "true or false"}[hint]
