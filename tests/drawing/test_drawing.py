"""Charts: where marks stand, which places are named, and what is left out."""

import re
from datetime import UTC, date, datetime, timedelta, timezone
from xml.etree import ElementTree

import numpy as np
import pytest

from memfold.drawing import Chart, ColouredText, Heat
from memfold.drawing.axes import Axis, numbers
from memfold.drawing.colours import SERIES, literal


def points(drawn: str) -> list[tuple[float, float]]:
    """Those of the first line, in thousandths of the page's drawing."""
    path = re.search(r'class="line" d="([^"]*)"', drawn)
    assert path is not None
    return [(float(a), float(b)) for a, b in re.findall(r"[ML]([\d.-]+) ([\d.-]+)", path[1])]


def test_a_line_stands_where_its_axes_say() -> None:
    chart = Chart("y", "x").line([0, 5, 10], [0.0, 4.0, 2.0], "a")
    across, up, right = chart.axes()
    assert right is None
    assert (across.least, across.greatest, up.least) == (0, 10, 0)
    expected = [(1000 * x / 10, 1000 * (1 - y / up.greatest)) for x, y in ((0, 0), (5, 4), (10, 2))]
    assert np.allclose(points(chart.html()), expected, atol=0.06)


def test_a_gap_is_a_gap_and_a_value_by_itself_is_seen() -> None:
    drawn = Chart().line([0, 1, 2, 3, 4], [1.0, None, 2.0, float("nan"), 3.0], "a").html()
    path = re.search(r'class="line" d="([^"]*)"', drawn)
    assert path is not None
    assert path[1].count("M") == path[1].count("h0.1") == 3


def test_a_long_line_keeps_its_peaks_and_gives_up_points() -> None:
    y = np.sin(np.arange(100_000) / 300)
    y[12_345] = 9.0
    chart = Chart(zero=False).line(np.arange(100_000), y, "a")
    drawn = points(chart.html())
    assert len(drawn) < 2_000
    x, height = min(drawn, key=lambda point: point[1])
    assert x == pytest.approx(1000 * 12_345 / 99_999, abs=0.1)
    assert height == pytest.approx(1000 * (1 - chart.axes()[1].place(np.array(9.0))), abs=0.1)


@pytest.mark.parametrize(
    ("least", "greatest", "texts"),
    [
        (0, 10, ["0", "2", "4", "6", "8", "10"]),
        (0, 0.5, ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]),
        (-1200, 1300, ["-1,000", "-500", "0", "500", "1,000"]),
        (5, 5, ["5"]),
    ],
)
def test_round_places_are_named(least: float, greatest: float, texts: list[str]) -> None:
    assert [text for _, text in Axis(least, greatest).ticks()] == texts


def test_whole_numbers_have_no_halves_between_them() -> None:
    across = Chart().line([1, 2, 3], [1.0, 2.0, 3.0], "a").axes()[0]
    assert [text for _, text in across.ticks()] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("apart", "count", "first"),
    [
        (timedelta(seconds=1), 60, "00:00:00"),
        (timedelta(minutes=10), 100, "03-01 00:00"),
        (timedelta(days=1), 40, "2024-03-"),
        (timedelta(days=1), 400, "2024-"),
        (timedelta(days=365), 40, "20"),
    ],
)
def test_times_are_named_as_finely_as_they_are_apart(apart: timedelta, count: int, first: str) -> None:
    begin = datetime(2024, 3, 1)
    ticks = Chart().line([begin + k * apart for k in range(count)], np.ones(count), "a").axes()[0].ticks(5)
    assert 2 <= len(ticks) <= 8
    assert ticks[0][1].startswith(first)
    assert len({text for _, text in ticks}) == len(ticks)
    for place, text in ticks:
        assert datetime.fromtimestamp(place, UTC).strftime("%Y-%m-%d %H:%M:%S").find(text[:4]) >= 0


def test_zones_and_dates_are_one_kind_of_time() -> None:
    zone = timezone(timedelta(hours=2))
    assert numbers([datetime(2024, 1, 1, 2, tzinfo=zone)])[0] == numbers([date(2024, 1, 1)])[0]
    assert np.isnan(numbers([None, date(2024, 1, 1)])[0][0])


def test_a_logarithm_has_no_place_for_zero() -> None:
    chart = Chart(log=True).line([0, 1, 2], [1.0, 0.0, 100.0], "a")
    up = chart.axes()[1]
    assert up.least > 0
    assert np.isnan(up.place(np.array([0.0]))[0])
    assert up.place(np.array([10.0]))[0] == pytest.approx(0.5)


def test_what_is_hidden_can_be_shown_and_does_not_press_the_rest_together() -> None:
    chart = Chart().line([0, 1], [1.0, 2.0], "a").line([0, 1], [500.0, 900.0], "b", hidden=True)
    assert chart.axes()[1].greatest < 4
    assert 'data-name="b" hidden' in chart.html()
    assert 'aria-pressed="false"' in chart.html()
    assert 'data-name="b"' not in chart.svg()


def test_an_axis_upside_down_and_one_on_the_right() -> None:
    chart = Chart(right_extent=(2.0, 0.0)).line([0, 1], [1.0, 3.0], "a").line([0, 1], [0.0, 2.0], "b", right=True)
    right = chart.axes()[2]
    assert right is not None
    assert right.place(np.array([0.0, 2.0])).tolist() == [1, 0]
    assert [value for value, _ in right.ticks(4)] == sorted(value for value, _ in right.ticks(4))
    assert 'data-side="right"' in chart.html()


def test_bars_below_zero_hang_from_it() -> None:
    drawn = Chart(names=["a", "b"]).bars([0, 1], [2.0, -1.0], "share").html()
    (up_y, up_h, up_c), (down_y, _, down_c) = re.findall(
        r'<rect x="[\d.]+" y="([\d.]+)" width="[\d.]+" height="([\d.]+)" fill="([^"]+)"', drawn
    )
    assert float(up_y) + float(up_h) == pytest.approx(float(down_y), abs=0.2)
    assert up_c != down_c


def test_nothing_to_draw_is_drawn() -> None:
    for chart in (Chart("y", "x"), Chart().line([], [], "a"), Chart(log=True).line([0], [0.0], "a")):
        ElementTree.fromstring(chart.svg("title"))
        assert "<figure" in chart.html()


def test_a_file_by_itself_is_whole_and_needs_no_style() -> None:
    chart = Chart("y", "x").band([0, 1], [0.0, 1.0], [2.0, 3.0], "80 %").line([0, 1], [1.0, 2.0], "a & b")
    root = ElementTree.fromstring(chart.svg("T < 1"))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(" not in chart.svg()
    assert "a & b" in "".join(root.itertext())


def test_every_colour_of_a_series_has_a_value_and_no_two_look_alike() -> None:
    assert all(re.fullmatch("#[0-9a-f]{6}", literal(look.colour)) for look in SERIES)
    assert len({(look.colour, look.dash) for look in SERIES}) == len({look.dash for look in SERIES}) == len(SERIES)


def test_a_table_of_cells_names_every_cell() -> None:
    heat = Heat(["cat", "dog"], ["cat", "dog"], np.array([[1.0, 0.25], [0.0, 0.5]]), [["4", "1"], ["", "2"]], "true")

    assert re.findall('title="([^"]*)"', heat.html()) == [
        "cat / cat: 4",
        "cat / dog: 1",
        "dog / cat: 0.0",
        "dog / dog: 2",
    ]


def test_pieces_are_coloured_by_sign_and_strength() -> None:
    drawn = ColouredText(["good ", "bad "], np.array([0.5, -1.0])).html()
    assert re.findall(r'class="(\w+)" style="--s:([\d.]+)"', drawn) == [("plus", "0.50"), ("minus", "1.00")]
