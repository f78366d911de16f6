"""A task's parameters as documented fields: what they mean, where they may lie, and how ``--set`` reads them."""

import dataclasses
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from memfold.errors import InputError, shown

__all__ = [
    "Parameter",
    "Search",
    "describe",
    "fitted",
    "keywords_of",
    "learning_rate",
    "parameter",
    "parameter_lines",
    "parameters_of",
    "parse_settings",
    "planned",
    "words_of",
]


AUTO = "auto"  # a planned parameter's default, as it is shown and set


@dataclass(frozen=True)
class Search:
    """Where it makes sense to look for a better value: from ``low`` to ``high``, by factors where ``log`` is set."""

    low: float
    high: float
    log: bool = False

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}{' by factors' if self.log else ''}"


@dataclass(frozen=True)
class Parameter:
    """One parameter of a task.

    Attributes:
        hint: its type, as a checker of types has it.
        meaning: one sentence, for ``--help``, the guides and the class's docstring.
        least, most: bounds that are allowed.
        above, below: bounds that are not.
        search: where a search makes sense, a range or the values to try; None where none does.
        planned: whether None leaves the choice to the fit's plan.
    """

    name: str
    hint: Any
    default: Any
    meaning: str
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    search: Search | tuple[Any, ...] | None = None
    planned: bool = False

    @property
    def type(self) -> str:
        """Its type in words."""
        return words_of(self.hint)

    @property
    def searched(self) -> str:
        """The range of a search in words; nothing where none makes sense."""
        if self.search is None or isinstance(self.search, Search):
            return str(self.search or "")
        return ", ".join(map(str, self.search))

    @property
    def bounds(self) -> str:
        """In words; nothing where there are none."""
        return " and ".join(bound for bound in (self._low, self._high) if bound)

    @property
    def shown_default(self) -> str:
        """The default as ``--set`` takes it."""
        if self.planned:
            return AUTO
        if isinstance(self.default, tuple):
            return ",".join(map(str, self.default)) or "none"
        plain = self.default is None or isinstance(self.default, bool)
        return str(self.default).lower() if plain else str(self.default)

    def as_json(self) -> dict[str, Any]:
        """What ``memfold params --json`` says of it."""
        return {
            "name": self.name,
            "default": AUTO if self.planned else self.default,
            "type": self.type,
            "meaning": self.meaning,
            "bounds": self.bounds,
            "search": self.searched,
        }

    def check(self, value: Any) -> None:
        """Hold a value against the bounds; each of several values where there are several.

        Raises:
            InputError: it lies outside.
        """
        if isinstance(value, list | tuple):
            for each in value:
                self.check(each)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return
        if (self.least is not None and not value >= self.least) or (self.above is not None and not value > self.above):
            raise InputError(f"{self.name} must be {self._low}, got {shown(value)}")
        if (self.most is not None and value > self.most) or (self.below is not None and value >= self.below):
            raise InputError(f"{self.name} must be {self._high}, got {shown(value)}")

    @property
    def _low(self) -> str:
        least = f"at least {self.least:g}" if self.least is not None else ""
        return f"above {self.above:g}" if self.above is not None else least

    @property
    def _high(self) -> str:
        most = f"at most {self.most:g}" if self.most is not None else ""
        return f"below {self.below:g}" if self.below is not None else most


def parameter(
    default: Any,
    meaning: str,
    *,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
    search: Search | tuple[Any, ...] | None = None,
    kw_only: bool = False,
) -> Any:
    """A field of a task's class that is one of its parameters; see `Parameter`."""
    entries = {"least": least, "most": most, "above": above, "below": below, "search": search}
    return dataclasses.field(default=default, kw_only=kw_only, metadata={"meaning": meaning, **entries})


def planned(meaning: str, *, kw_only: bool = False, **limits: Any) -> Any:
    """A field like `parameter`, with its limits, whose default, None, leaves the choice to the plan of a fit.

    A task reads what was chosen as ``self.chosen.NAME``.
    """
    metadata = {"meaning": meaning, **limits, "planned": True}
    return dataclasses.field(default=None, kw_only=kw_only, metadata=metadata)


def learning_rate(default: float, meaning: str = "peak learning rate", *, kw_only: Literal[True] = True) -> Any:
    """The field ``lr``, which every task has with a default of its own."""
    search = Search(default / 4, default * 4, log=True)
    return parameter(default, meaning, above=0, search=search, kw_only=kw_only)


def fitted(*, stored: bool = True, absent: Any = None, init: Literal[False] = False) -> Any:
    """A field of a task's class that fitting finds.

    Args:
        stored: whether it goes into the model's ``config.json``; its type says how it is written and checked there.
        absent: what it is in a model that was saved before there was such an entry; None refuses one without it.
    """
    return dataclasses.field(init=init, metadata={"stored": stored, "absent": absent})


def parameters_of(task: type) -> list[Parameter]:
    """The parameters of a task's class, in the order of its constructor."""
    init_fields = [field for field in dataclasses.fields(task) if field.init]
    ordered = sorted(init_fields, key=lambda field: bool(field.kw_only))
    return [Parameter(field.name, field.type, field.default, **field.metadata) for field in ordered]


def describe(task: type) -> str:
    """The parameters as the section ``Args`` of a docstring."""
    return "\n".join(["Args:", *(f"    {p.name}: {p.meaning}." for p in parameters_of(task))])


def parameter_lines(task: type) -> str:
    """The parameters of a task's class for a terminal, three lines at most each."""
    lines = []
    for p in parameters_of(task):
        limits = "; ".join(text for text in (p.bounds, p.searched and f"try {p.searched}") if text)
        lines.append(f"{p.name}={p.shown_default}")
        lines += textwrap.wrap(p.meaning, 110, initial_indent="    ", subsequent_indent="    ")
        lines.append(f"    {p.type}{f' ({limits})' if limits else ''}")
    return "\n".join(lines)


def parse_settings(parameters: Mapping[str, Any], owner: str, settings: Sequence[str]) -> dict[str, Any]:
    """The values that a list of ``name=value`` texts gives.

    Args:
        parameters: by name, the types that a value may have.
        owner: what to call it in an error.

    Raises:
        InputError: a text of another form, an unknown name, or a value of the wrong type.
    """
    parsed = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--set {text!r}: expected NAME=VALUE")
        if name not in parameters:
            has = f"it has {', '.join(parameters)}" if parameters else "it has none"
            raise InputError(f"--set {text}: {owner} has no parameter {name!r}; {has}")
        try:
            parsed[name] = _value(parameters[name], value)
        except (ValueError, KeyError):
            raise InputError(f"--set {text}: expected {words_of(parameters[name])}") from None
    return parsed


def keywords_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The keywords of a function that a text can set, with their types."""
    named = [p for p in inspect.signature(function).parameters.values() if p.default is not p.empty]
    return {p.name: p.annotation for p in named if _plain(p.annotation)}


def _plain(hint: Any) -> bool:
    """Whether a text can be read as a value of this type."""
    if options := get_args(hint):
        return get_origin(hint) is Literal or all(_plain(option) for option in options)
    return hint in (int, float, str, bool, NoneType)


def _value(hint: Any, text: str) -> Any:
    if get_origin(hint) is Literal:
        if text not in get_args(hint):
            raise ValueError(text)
        return text
    if get_origin(hint) is Sequence:
        (element,) = get_args(hint)
        return tuple(_value(element, part.strip()) for part in text.split(",") if part.strip())
    if options := get_args(hint):  # a union with None
        if text.lower() in ("none", AUTO) and NoneType in options:
            return None
        return _value(next(option for option in options if option is not NoneType), text)
    if hint is bool:
        return {"true": True, "false": False}[text.lower()]
    return hint(text)


def words_of(hint: Any) -> str:
    """A parameter's type as a person says it."""
    if get_origin(hint) is Literal:
        return " or ".join(get_args(hint))
    if get_origin(hint) is Sequence:
        return f"{words_of(get_args(hint)[0])}, or several with commas between"
    if options := get_args(hint):
        return words_of(next(option for option in options if option is not NoneType))
    return {int: "a whole number", float: "a number", str: "text", bool: "true or false"}[hint]
