"""How a column of times is called and written, and times written so again; Polars is loaded where a column is."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import polars as pl

__all__ = ["AS_THEY_ARE", "TIME_NAMES", "UNIX", "Times", "durations_of"]

Kind = Literal["integer", "number", "decimal", "unix", "text", "datetime"]

TIME_NAMES = ("ds", "timestamp", "time", "date", "datetime", "ts", "datum", "zeit", "日期", "时间", "fecha")
UNIX = {"s": 1, "ms": 1000, "us": 10**6, "ns": 10**9}  # ticks of a second


@dataclass(frozen=True)
class Times:
    """How a column of times is written.

    Attributes:
        kind: ``"integer"``, plain whole numbers; ``"number"``, whole numbers that are dates by their digits;
            ``"decimal"``, years with fractions of whole months; ``"unix"``, whole numbers since 1970; ``"text"``;
            ``"datetime"``, times of a data frame.
        format: of texts and of dates in digits, as strptime has it.
        unit: of ``"unix"``, s, ms, us or ns; of ``"datetime"`` the type's; of ``"decimal"`` the digits of a fraction.
        zone: of times that have one, its name or its offset such as ``+01:00``; ``""`` for those of no zone.
        utc: whether the times that were read are those of UTC, and not those of the zone.
        clock: whether the zone is that of clocks which the times follow without saying so.
        note: how the column was read where that is worth a word, else ``""``.
    """

    kind: Kind = "text"
    format: str = ""
    unit: str = ""
    zone: str = ""
    utc: bool = False
    clock: bool = False
    note: str = ""

    def written(self, times: "pl.Series") -> "pl.Series":
        """Times as they are handed on inside, in the form of the column that they were read from.

        Args:
            times: Datetime in microseconds without a zone, or Int64 of ``"integer"``.
        """
        import polars as pl

        if self.kind == "integer":
            return times
        if self.kind == "unix":
            ticks = times.dt.epoch("us")
            per_tick = 10**6 // UNIX[self.unit] if self.unit != "ns" else 0
            return ticks * 1000 if self.unit == "ns" else ticks // per_tick
        if self.kind == "number":
            return times.dt.strftime(self.format).cast(pl.Int64)
        if self.kind == "decimal":
            return (times.dt.year() + (times.dt.month() - 1) / 12).round(int(self.unit))
        local, offset = self._local(times)
        if self.kind == "datetime":
            return self._typed(local, times)
        text = local.dt.strftime(self.format)
        if not self.zone or self.clock:
            return text
        return text + offset

    def _typed(self, local: "pl.Series", times: "pl.Series") -> "pl.Series":
        """Times in the type of a data frame's column."""
        import polars as pl

        if self.format == "date":
            return local.cast(pl.Date)
        naive = not self.zone or self.clock
        if not naive and self.utc:
            local = times.dt.replace_time_zone("UTC").dt.convert_time_zone(self.zone)
        elif not naive:
            local = local.dt.replace_time_zone(self.zone, ambiguous="earliest", non_existent="null")
        unit: Literal["ns", "us", "ms"] = self.unit or "us"  # type: ignore[assignment]
        return local.cast(pl.Datetime(unit, None if naive else self.zone))

    def _local(self, times: "pl.Series") -> "tuple[pl.Series, pl.Series]":
        """Times of the column's own clock, and of each its offset as text."""
        import polars as pl

        if not self.zone:
            return times, pl.Series([""] * len(times), dtype=pl.String)
        if self.zone == "Z" or self.zone[0] in "+-":
            fixed = pl.Series([self.zone] * len(times), dtype=pl.String)
            return (times + durations_of(fixed) if self.utc else times), fixed
        if self.utc:
            aware = times.dt.replace_time_zone("UTC").dt.convert_time_zone(self.zone)
        else:
            aware = times.dt.replace_time_zone(self.zone, ambiguous="earliest", non_existent="null")
        return aware.dt.replace_time_zone(None), aware.dt.strftime("%:z")


AS_THEY_ARE = Times("datetime")  # of a data frame, without a zone


def durations_of(zone: "pl.Series") -> "pl.Series":
    """Texts such as Z, +01:00 and -0330 as durations; null where there is none."""
    import polars as pl

    digits = zone.str.replace_all(":", "")
    hours = digits.str.slice(1, 2).cast(pl.Int64, strict=False)
    minutes = digits.str.slice(3, 2).replace("", "0").cast(pl.Int64, strict=False)
    sign = pl.Series([-1 if z is not None and z.startswith("-") else 1 for z in zone], dtype=pl.Int64)
    seconds = sign * (hours * 3600 + minutes.fill_null(0) * 60)
    named = zone.is_in(["Z", "UTC", "GMT"])
    seconds = pl.select(pl.when(named).then(0).otherwise(seconds)).to_series()
    return (seconds * 1_000_000).cast(pl.Duration("us"))
