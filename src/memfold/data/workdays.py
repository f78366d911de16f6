"""Days on which nothing happens: weekdays that a series never has, and holidays by country; NumPy alone."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memfold.errors import InputError
from memfold.extras import install, is_installed

__all__ = [
    "NONE_OFF",
    "DaysOff",
    "days_between",
    "days_off",
    "holidays_of",
    "listed",
    "next_workdays",
    "step_in_words",
    "step_of_weekdays",
    "weekdays_of",
]

Days = NDArray[np.datetime64]
MON_TO_FRI = "1111100"
AHEAD = 10  # years after the last row whose holidays are kept
_LEAST_WEEKS = 2  # in which a weekday is missing that is never there
_LEAST_SHARE = 0.8  # of the workdays that have rows
_MOST_OFF = 0.1  # of the workdays that may be days off, which are in no series
_MOST_IN_A_ROW = 5


@dataclass(frozen=True)
class DaysOff:
    """The holidays that are known.

    Attributes:
        country: whose, as it was given; ``""`` for none.
        holidays: days, as ISO texts.
        closed: of the holidays and of other workdays those on which nothing happens, which no step falls on.
        until: the last year whose holidays are known.
    """

    country: str = ""
    holidays: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    until: int = 0

    @property
    def closed_days(self) -> Days:
        """The closed days."""
        return np.array(self.closed, "datetime64[D]")

    @property
    def holiday_days(self) -> Days:
        """The holidays."""
        return np.array(self.holidays, "datetime64[D]")


NONE_OFF = DaysOff()


def weekdays_of(step: str) -> str | None:
    """Of a step of workdays, Monday to Sunday as 1 and 0; None of any other step.

    >>> weekdays_of("1b"), weekdays_of("1b1111110"), weekdays_of("1d")
    ('1111100', '1111110', None)
    """
    match = re.fullmatch(r"1b([01]{7})?", step)
    mask = match and (match[1] or MON_TO_FRI)
    return mask if mask and "1" in mask else None


def step_in_words(step: str) -> str:
    """A step for a message.

    >>> step_in_words("1b"), step_in_words("30m")
    ('a workday', '30m')
    """
    return "a workday" if weekdays_of(step) else step


def step_of_weekdays(days: Days) -> str | None:
    """The step of a series with a row on every workday; None where every weekday has rows, or there are too few rows.

    Args:
        days: with a row, rising.
    """
    if len(days) < 2:
        return None
    there = np.zeros(7, bool)
    there[_weekday(days)] = True
    every = days_between(days[0], days[-1])
    comes = np.bincount(_weekday(every), minlength=7)  # how often a weekday comes
    if there.all() or there.sum() < 2 or comes[~there].min() < _LEAST_WEEKS:
        return None
    if len(days) < _LEAST_SHARE * comes[there].sum():  # such as months that never begin on a Tuesday
        return None
    mask = "".join(str(int(one)) for one in there)
    return "1b" if mask == MON_TO_FRI else f"1b{mask}"


def days_off(days: Days, mask: str) -> Days | None:
    """The workdays between the first and the last row that have no row; None where they are too many to be days off.

    Args:
        days: with a row, of all series together.
    """
    every = days_between(days[0], days[-1])
    workdays = every[np.is_busday(every, mask)]
    off: Days = np.setdiff1d(workdays, days)
    in_a_row = np.diff(np.flatnonzero(np.concatenate([[True], np.isin(workdays, days), [True]]))).max() - 1
    return off if len(off) <= _MOST_OFF * len(workdays) and in_a_row <= _MOST_IN_A_ROW else None


def next_workdays(last: Any, count: int, mask: str, closed: Days) -> Days:
    """So many workdays after a day, its time of the day with them.

    >>> next_workdays(np.datetime64("2024-01-05T16:00"), 2, "1111100", np.array([], "datetime64[D]")).tolist()
    [datetime.datetime(2024, 1, 8, 16, 0), datetime.datetime(2024, 1, 9, 16, 0)]
    """
    moment = np.datetime64(last, "us")
    day = moment.astype("datetime64[D]")
    # A day of the past may be closed in the calendar and have a row all the same.
    before = np.busday_offset(day, 0, "backward", weekmask=mask, holidays=closed)
    days = np.busday_offset(before, np.arange(1, count + 1), "backward", weekmask=mask, holidays=closed)
    return np.asarray(days.astype("datetime64[us]") + (moment - day))


def days_between(first: Any, last: Any) -> Days:
    """All days from one to another."""
    return np.arange(np.datetime64(first, "D"), np.datetime64(last, "D") + 1)


def holidays_of(country: str, days: Days, mask: str | None) -> DaysOff:
    """The holidays of a country, of a part of it or of an exchange, by the package holidays.

    A holiday is closed where its name's days have no row; one whose name no row's time covers, where most others are.

    Args:
        country: such as US, DE-BY or NYSE.
        days: with a row, rising.
        mask: of workdays, where only these have rows; None otherwise, and then nothing is closed.

    Raises:
        InputError: the package is not installed, or knows no such country.
    """
    first, last = (int(str(day)[:4]) for day in (days[0], days[-1]))
    named = _named(country, range(first, last + AHEAD + 1))
    all_days = np.array(sorted(named), "datetime64[D]")
    closed: tuple[str, ...] = ()
    if mask is not None:
        work = all_days[np.is_busday(all_days, mask)]
        closed = tuple(map(str, _closed(work, {np.datetime64(day, "D"): name for day, name in named.items()}, days)))
    return DaysOff(country, tuple(map(str, all_days)), closed, last + AHEAD)


def _closed(work: Days, named: Mapping[Any, str], days: Days) -> list[Any]:
    """Of holidays on workdays those on which nothing happens, or will happen."""
    past = work[(work >= days[0]) & (work <= days[-1])]
    is_off = ~np.isin(past, days)
    by_name: dict[str, list[bool]] = {}
    for day, off in zip(past, is_off, strict=True):
        by_name.setdefault(named[day], []).append(bool(off))
    mostly = bool(len(past)) and is_off.mean() >= 0.5
    result = list(past[is_off])
    for day in work[work > days[-1]]:
        seen = by_name.get(named[day])
        if mostly if seen is None else 2 * sum(seen) > len(seen):
            result.append(day)
    return result


def _named(country: str, years: Collection[int]) -> dict[date, str]:
    """The days of holidays with their names, those on which one is observed under the same name."""
    if not is_installed("holidays"):
        raise InputError(f"--set holidays={country} takes the package holidays: {install(['holidays'])}")
    import holidays

    code, _, part = country.strip().partition("-")
    try:
        if code.upper() in holidays.list_supported_countries():
            days = holidays.country_holidays(code.upper(), subdiv=part or None, years=years)
        else:
            days = holidays.financial_holidays(code.upper(), years=years)
    except (NotImplementedError, KeyError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())[:100]
        raise InputError(
            f"--set holidays={country}: the package holidays knows no such country, part or exchange ({reason}); "
            "expected a code such as US, CN, DE-BY or NYSE"
        ) from None
    return {day: re.sub(r"\s*\(.*?\)", "", name).strip() for day, name in sorted(days.items())}


def _weekday(days: Days) -> NDArray[np.int64]:
    """0 for Mondays."""
    return (days.astype("datetime64[D]").astype(np.int64) + 3) % 7


def listed(days: Days, most: int = 3) -> str:
    """Days for a message, the first of them."""
    return ", ".join(map(str, days[:most])) + (", ..." if len(days) > most else "")
