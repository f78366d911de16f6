"""Columns of times as people write them: dates in either order, numbers that are dates, zones; read, and written back.

A column is read in one way only. Where two ways fit, such as 02/03/2024, that is an error which names both and the
setting that chooses.
"""

from collections.abc import Callable, Sequence

import polars as pl

from memfold.data.delimited import Column
from memfold.data.written import UNIX, Times, durations_of
from memfold.errors import InputError

__all__ = ["ZONES", "follow_clock", "read_times"]

DAY_FIRST, MONTH_FIRST = "day-first", "month-first"
_FARTHEST = (1 << 62) - 1  # of an integer time: the difference of two fits 64 bits

# The date of a text, by what it is said to be; chrono's formats take one digit or two.
_YEAR_FIRST = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y年%m月%d日")
_ORDERS = {DAY_FIRST: ("%d", "%m"), MONTH_FIRST: ("%m", "%d")}
_NAMED_MONTH = ("%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%b %d %Y", "%d %B %Y", "%B %d, %Y", "%B %d %Y")
_MONTHS = ("%Y-%m", "%Y/%m", "%m/%Y", "%m.%Y", "%b %Y", "%B %Y", "%b-%Y", "%b-%y", "%Y年%m月")
_CLOCKS = ("", " %H:%M:%S%.f", " %H:%M", " %I:%M:%S %p", " %I:%M %p")
# Whole numbers that are dates: the digits of each, the format, what they are called, the first and the last.
_NUMBERS = (
    (8, "%Y%m%d", "days, as in 20240131", 1800_00_00, 2200_00_00),
    (6, "%Y%m", "months, as in 202401", 1800_00, 2200_00),
    (4, "%Y", "years", 1800, 2200),
)
# Years with a fraction: so many months of one may they be off, as 1949.08 is by 0.04.
_YEARS, _OFF = (1500, 2200), 0.07
_DECIMAL_YEAR = r"^\d{4}(\.\d+)?$"
_UNIX_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_UNIX_FROM, _UNIX_TO = 10**8, 41 * 10**8  # seconds: 1973 to 2099
_ZONE = r"\s?(Z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})$"
# Zones that are tried for offsets or clock changes, those of the most people first; others have the same changes.
ZONES = (
    *("Europe/Berlin", "America/New_York", "Europe/London", "America/Chicago", "America/Los_Angeles"),
    *("America/Denver", "Europe/Helsinki", "Australia/Sydney", "America/Halifax", "America/St_Johns"),
    *("America/Anchorage", "Australia/Adelaide", "Pacific/Auckland", "America/Sao_Paulo", "America/Mexico_City"),
    *("America/Santiago", "Asia/Jerusalem", "Asia/Tehran", "Africa/Cairo", "Asia/Beirut", "Europe/Moscow"),
    *("Atlantic/Azores", "America/Havana", "Australia/Lord_Howe", "Pacific/Chatham", "Africa/Casablanca"),
)


def read_times(
    at: Column, dates: str | None = None, *, even: Callable[[pl.Series], bool] | None = None, plain: bool = False
) -> tuple[pl.Series, Times]:
    """The times of a column, and how they are written.

    Args:
        at: a column of texts, whole numbers, or dates of a data frame.
        dates: ``"day-first"``, ``"month-first"`` or a format of strptime; None looks at the column.
        even: whether times that were read are evenly apart: of two orders that fit, the one that alone gives such times
            is taken.
        plain: whether whole numbers are no dates, whatever their digits.

    Returns:
        Datetime in microseconds without a zone, or Int64 where the column holds plain whole numbers; empty cells stay
        null.

    Raises:
        InputError: naming the row of what is no time, or both readings of what can be read in two ways.

    >>> read_times(Column("sales.csv", "day", pl.Series(["31.12.2023", "01.01.2024"])))[0].dt.date().to_list()
    [datetime.date(2023, 12, 31), datetime.date(2024, 1, 1)]
    """
    column = at.values
    if column.dtype == pl.Date or column.dtype == pl.Datetime:
        return _of_a_frame(column, at)
    if dates is None and (read := _decimal_years(column, at)):
        return read
    if column.dtype != pl.String and not column.dtype.is_integer():
        raise InputError(f"{at} holds {column.dtype}; expected dates or integers")
    if column.dtype == pl.String:
        column = column.str.strip_chars().replace("", None)
    by_format = dates is not None and dates not in _ORDERS
    numbers = column.cast(pl.Int64, strict=False)
    if numbers.null_count() == column.null_count() and not by_format:
        return (numbers, Times("integer")) if plain else _numbers(numbers, at)
    if column.dtype != pl.String:
        if not by_format:
            raise InputError(f"{at}: a number of more than 63 bits is not a time")
        column = column.cast(pl.String)
    return _texts(column, dates, even, at)


def _of_a_frame(column: pl.Series, at: Column) -> tuple[pl.Series, Times]:
    if column.dtype == pl.Date:
        return column.cast(pl.Datetime("us")), Times("datetime", "date")
    unit, zone = str(column.dtype.time_unit), column.dtype.time_zone  # type: ignore[attr-defined]
    times = column.cast(pl.Datetime("us", zone))
    if zone is None:
        return _within_years(times, at), Times("datetime", unit=unit)
    local = times.dt.replace_time_zone(None)
    if local.dt.time().n_unique() > 1:  # not once a day: then the clock's own changes must not show
        local = times.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return _within_years(local, at), Times("datetime", unit=unit, zone=zone, utc=True)
    return _within_years(local, at), Times("datetime", unit=unit, zone=zone)


# -- whole numbers -------------------------------------------------------------------------------------------


def _numbers(numbers: pl.Series, at: Column) -> tuple[pl.Series, Times]:
    known = numbers.drop_nulls()
    if len(known) == 0:
        return numbers, Times("integer")
    least, most = int(known.min()), int(known.max())  # type: ignore[arg-type]
    for _, form, called, low, high in _NUMBERS:
        if low < least and most < high:
            read = numbers.cast(pl.String) + ("" if form == "%Y%m%d" else "01" if form == "%Y%m" else "0101")
            times = read.str.to_datetime("%Y%m%d", strict=False, time_unit="us")
            if times.null_count() == numbers.null_count():
                return times, Times("number", form, note=f"{at.short}: whole numbers read as {called}")
    for unit, ticks in UNIX.items():
        if _UNIX_FROM * ticks <= least and most <= _UNIX_TO * ticks:
            us = numbers * (10**6 // ticks) if ticks <= 10**6 else numbers // (ticks // 10**6)
            note = f"{at.short}: whole numbers read as {_UNIX_NAMES[unit]} since 1970"
            return us.cast(pl.Datetime("us")), Times("unix", unit=unit, note=note)
    outside = (numbers < -_FARTHEST) | (numbers > _FARTHEST)
    expected = f"an integer time from {-_FARTHEST} to {_FARTHEST}"
    _refuse_outside(numbers, outside, expected, at)
    return numbers, Times("integer")


def _decimal_years(column: pl.Series, at: Column) -> tuple[pl.Series, Times] | None:
    """Years with fractions of whole months, as in 1949.083; None for anything else."""
    if column.dtype.is_float():
        column = column.cast(pl.String).str.replace(r"\.0$", "")
    if column.dtype != pl.String:
        return None
    column = column.str.strip_chars().replace("", None)
    known = column.drop_nulls()
    if not known.str.contains(_DECIMAL_YEAR).all() or not known.str.contains(".", literal=True).any():
        return None
    years = column.cast(pl.Float64)
    months = (12 * years).round()
    off = (12 * years - months).abs()
    if not years.drop_nulls().is_between(*_YEARS).all() or not (off <= _OFF).drop_nulls().all():
        return None
    numbers = months.cast(pl.Int64)
    times = pl.select(pl.datetime(numbers // 12, numbers % 12 + 1, 1, time_unit="us").alias(column.name)).to_series()
    fractions = known.filter(known.str.contains(".", literal=True))
    digits = fractions.str.extract(r"\.(\d+)$").str.len_chars().max()
    note = f"{at.short}: numbers such as {fractions[0]} read as years and months"
    return times, Times("decimal", unit=str(digits), note=note)


# -- texts ---------------------------------------------------------------------------------------------------


def _texts(
    column: pl.Series, dates: str | None, even: Callable[[pl.Series], bool] | None, at: Column
) -> tuple[pl.Series, Times]:
    if dates is not None and dates not in _ORDERS:
        times = _parsed(column, (dates,))[0]
        _refuse_unread(column, times, f"a date as in --set dates={dates}", at)
        return _within_years(times, at), Times("text", dates)
    base, zone = _without_zone(column, at)
    readings: dict[str, tuple[pl.Series, str]] = {}
    for called, forms in _forms(base, dates):
        times, form = _parsed(base, forms)
        if times.null_count() == base.null_count() and form:
            readings[called] = (times, form)
    if not readings:
        _refuse_text(base, column, dates, at)
    note = ""
    if len(readings) > 1:
        readings, note = _one_of(readings, base, even, at)
    elif next(iter(readings)) in _ORDERS:
        note = _why(next(iter(readings)), base, dates, at)
    ((times, form),) = readings.values()
    if "T" in (column.drop_nulls()[0] if len(column.drop_nulls()) else "") and " %H" in form:
        form = form.replace(" %H", "T%H")
    times = _within_years(times, at)
    return _zoned(times, zone, Times("text", _trimmed(form, base), note=note))


def _trimmed(form: str, base: pl.Series) -> str:
    """The format with as many digits as the column has: of a second's fraction, and of days and months."""
    if base.str.contains(r"^\d[/.-]|^\d{1,2}[/.-]\d[/.-]|^\d [[:alpha:]]|[[:alpha:]] \d\D").any():
        form = form.replace("%d", "%-d").replace("%m", "%-m")
    if "%.f" not in form:
        return form
    digits = base.drop_nulls().str.extract(r"\.(\d+)$").str.len_chars().max()
    return form.replace("%.f", "" if digits is None else f"%.{3 if digits <= 3 else 6 if digits <= 6 else 9}f")  # type: ignore[operator]


def _forms(base: pl.Series, dates: str | None) -> list[tuple[str, Sequence[str]]]:
    """What a column may be, by name; of each the formats of its dates."""
    first = next(iter(base.drop_nulls()), "")
    if len(first) > 4 and first[:4].isdigit() and not first[4:5].isdigit():
        return [("year first", _YEAR_FIRST), ("months", _MONTHS)]
    if any(c.isalpha() for c in first.split(":")[0].split(" ")[0] + "".join(first.split(" ")[1:2])):
        return [("month by name", _NAMED_MONTH), ("months", _MONTHS)]
    separator = next((c for c in first if c in "/-."), "/")
    orders = {}
    for order, (one, two) in _ORDERS.items():
        if dates is None or order == dates:
            orders[order] = tuple(f"{one}{separator}{two}{separator}{year}" for year in ("%Y", "%y"))
    if separator == "." and dates is None:
        del orders[MONTH_FIRST]  # nobody writes a month first with points
    return [*orders.items(), ("months", _MONTHS)]


def _parsed(base: pl.Series, forms: Sequence[str]) -> tuple[pl.Series, str]:
    """Times by the first format that fits each, and the longest of these formats; two-digit years only where all have
    two."""
    times = pl.Series(base.name, [None] * len(base), dtype=pl.Datetime("us"))
    if len(base) == base.null_count():
        return times, forms[0]
    best = ""
    two_digits = base.drop_nulls().str.contains(r"^\d{1,2}[/.-]\d{1,2}[/.-]\d{2}(\D|$)|[[:alpha:]]-\d{2}$").all()
    for form in forms:
        if ("%y" in form and not two_digits) or ("%Y" in form and two_digits and "%y" in "".join(forms)):
            continue
        for clock in _CLOCKS if "%H" not in form and "%I" not in form else ("",):
            left = times.is_null() & base.is_not_null()
            if not left.any():
                return times, best
            try:
                read = base.filter(left).str.to_datetime(form + clock, strict=False, time_unit="us", exact=True)
            except pl.exceptions.PolarsError:
                continue
            if read.null_count() == len(read):
                continue
            if read.dtype.time_zone is not None:  # type: ignore[attr-defined]
                read = read.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
            times = times.scatter(left.arg_true(), read)
            best = max(best, form + clock, key=len)
    return times, best


def _one_of(
    readings: dict[str, tuple[pl.Series, str]],
    base: pl.Series,
    even: Callable[[pl.Series], bool] | None,
    at: Column,
) -> tuple[dict[str, tuple[pl.Series, str]], str]:
    """The only reading that gives even times.

    Raises:
        InputError: there is none, or both do.
    """
    first = str(base.drop_nulls()[0])
    last = str(base.drop_nulls()[-1])
    fits = [called for called, (times, _) in readings.items() if even is not None and even(times)]
    if len(fits) == 1:
        other = next(called for called in readings if called != fits[0])
        note = f"{at.short}: {fits[0]} dates; read {other} they would not be evenly apart"
        return {fits[0]: readings[fits[0]]}, note
    ways = " or ".join(
        f"{times.drop_nulls()[0]:%Y-%m-%d} to {times.drop_nulls()[-1]:%Y-%m-%d} ({called})"
        for called, (times, _) in readings.items()
    )
    raise InputError(
        f"{at}: {first} to {last} can be {ways}; say which with --set dates={DAY_FIRST} or --set dates={MONTH_FIRST}"
    )


def _why(order: str, base: pl.Series, dates: str | None, at: Column) -> str:
    """What a column in one of the two orders was found by."""
    if dates is not None:
        return ""
    place = 0 if order == DAY_FIRST else 1
    part = base.str.extract(r"^(\d+)[/.-](\d+)", place + 1).cast(pl.Int64, strict=False)
    rows = (part > 12).fill_null(False).arg_true()
    if len(rows) == 0:
        return f"{at.short}: {order} dates, as is usual with points: {base.drop_nulls()[0]}"
    return f"{at.short}: {order} dates, by row {at.row(int(rows[0]))}: {base[int(rows[0])]}"


def _refuse_text(base: pl.Series, column: pl.Series, dates: str | None, at: Column) -> None:
    """Name the first row that is none of what most of the column is."""
    best = max((_parsed(base, forms)[0] for _, forms in _forms(base, dates)), key=lambda t: len(t) - t.null_count())
    expected = "a date such as 2014-07-01 00:30:00, or an integer; another form is read with --set dates=FORMAT, as in "
    expected += "--set dates='%d.%m.%Y %H:%M'"
    if dates is not None:
        expected = f"a {dates} date"
    if len(best) > best.null_count() and dates is None and set(_ORDERS) <= {c for c, _ in _forms(base, dates)}:
        expected = "a date in the order of the others"
    _refuse_unread(column, best, expected, at)


# -- zones and clocks ----------------------------------------------------------------------------------------


def _without_zone(column: pl.Series, at: Column) -> tuple[pl.Series, pl.Series | None]:
    """The texts with a space between date and time and without a zone, and the zones; None where there are none."""
    spaced = column.str.replace(r"^(\S+\d)T(\d)", "${1} ${2}")
    has_clock = spaced.str.contains(r"\d:\d\d")
    zone = pl.select(pl.when(has_clock).then(spaced.str.extract(_ZONE))).to_series()
    if zone.null_count() == len(zone):
        return spaced, None
    lacks = (zone.is_null() & spaced.is_not_null()).arg_true()
    if len(lacks):
        has = zone.is_not_null().arg_true()[0]
        raise InputError(
            f"{at}: row {at.row(int(has))} has a time zone ({column[int(has)]}), row "
            f"{at.row(int(lacks[0]))} has none ({column[int(lacks[0])]}); give all of them one"
        )
    return spaced.str.replace(_ZONE, ""), zone


def _zoned(local: pl.Series, zone: pl.Series | None, read: Times) -> tuple[pl.Series, Times]:
    """The times to go on with: those of the column's clock, or of UTC where the clock's changes would show."""
    if zone is None:
        return local, read
    offsets = zone.drop_nulls().unique(maintain_order=True).to_list()
    if len(offsets) == 1:
        return local, _with(read, zone=offsets[0])
    utc = local - durations_of(zone)
    named = next((z for z in ZONES if _is_of(local, utc, z)), None)
    if local.dt.time().n_unique() == 1 and named:
        return local, _with(read, zone=named)
    return utc, _with(read, zone=named or "Z", utc=True)


def _is_of(local: pl.Series, utc: pl.Series, zone: str) -> bool:
    there = utc.dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.replace_time_zone(None)
    return bool((there == local).all())


def follow_clock(times: pl.Series, again: pl.Series, zones: Sequence[str] = ZONES) -> tuple[pl.Series, str] | None:
    """Times of clocks that were changed, in UTC: an hour in autumn that comes twice, one in spring that does not come.

    Args:
        times: Datetime in microseconds without a zone.
        again: whether a row's time stands in an earlier row of its series, too.

    Returns:
        The times of UTC and the zone; None where no zone has its changes at such times.

    >>> times = pl.Series(["2023-10-29 02:00", "2023-10-29 02:00"]).str.to_datetime(time_unit="us")
    >>> follow_clock(times, pl.Series([False, True]))[1]
    'Europe/Berlin'
    """
    doubled = times.filter(again).unique()
    for zone in zones:
        first, second = (
            doubled.dt.replace_time_zone(zone, ambiguous=which, non_existent="null") for which in ("earliest", "latest")
        )
        if (first == second).fill_null(True).any():
            continue  # an hour that comes once there, or never
        ways = pl.select(pl.when(again).then(pl.lit("latest")).otherwise(pl.lit("earliest"))).to_series()
        utc = times.dt.replace_time_zone(zone, ambiguous=ways, non_existent="null").dt.convert_time_zone("UTC")
        if utc.null_count() == times.null_count():
            return utc.dt.replace_time_zone(None), zone
    return None


def _with(read: Times, *, zone: str, utc: bool = False) -> Times:
    return Times(read.kind, read.format, read.unit, zone, utc, read.clock, read.note)


# -- errors --------------------------------------------------------------------------------------------------


def _within_years(times: pl.Series, at: Column) -> pl.Series:
    years = times.dt.year()
    _refuse_outside(times, (years < 1) | (years > 9999), "a date of the years 1 to 9999", at)
    return times


def _refuse_outside(times: pl.Series, outside: pl.Series, expected: str, at: Column) -> None:
    rows = outside.fill_null(False).arg_true()
    if len(rows):
        read = times.cast(pl.String)[int(rows[0])]
        raise InputError(f"{at.cell(int(rows[0]))}: {read} is not {expected}; correct it")


def _refuse_unread(before: pl.Series, after: pl.Series, expected: str, at: Column) -> None:
    rows = (after.is_null() & before.is_not_null()).arg_true()
    if len(rows):
        raise InputError(f"{at.cell(int(rows[0]))}: {before[int(rows[0])]!r} is not {expected}")
