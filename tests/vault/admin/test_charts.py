"""Charts as numbers: bars are as long as what they count, and nothing leaves its frame."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from django.utils import translation

from vault.admin.console.charts import FULL, CategoryChart, DayChart, Gauge, end_of_axis, part_of

FIRST = date(2026, 3, 1)


def day_chart(*counts):
    return DayChart([(FIRST + timedelta(days=number), count) for number, count in enumerate(counts)])


def category_chart(rows, most=9):
    return CategoryChart(("Name", "Number"), [(name, count, "") for name, count in rows], rest="Others", most=most)


@pytest.mark.parametrize(
    ("largest", "end"),
    [(0, 2), (1, 2), (2, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 20), (20, 20), (21, 40), (99, 100), (101, 200)],
)
def test_the_axis_ends_at_a_round_number_with_a_whole_middle(largest, end):
    assert end_of_axis(largest) == end
    assert end >= largest
    assert end % 2 == 0


@pytest.mark.parametrize("largest", [1, 13, 4_711, 999_999, 10**12])
def test_the_highest_bar_fits_and_is_half_the_height_at_least(largest):
    chart = day_chart(0, largest)
    assert FULL / 2 <= chart.bars[1].height <= FULL


def test_bars_are_as_high_as_what_they_count():
    chart = day_chart(0, 5, 10, 20)
    assert chart.end == 20
    assert [bar.height for bar in chart.bars] == [0, FULL // 4, FULL // 2, FULL]
    assert [bar.y + bar.height for bar in chart.bars] == [FULL] * 4


def test_bars_stand_side_by_side_within_the_frame():
    chart = day_chart(*range(30))
    edges = [(bar.x, bar.x + chart.broad) for bar in chart.bars]
    assert all(left[1] < right[0] for left, right in pairwise(edges))
    assert edges[0][0] > 0
    assert edges[-1][1] < chart.width


def test_a_chart_of_days_says_how_many_and_when_there_were_the_most():
    chart = day_chart(3, 7, 7, 0)
    assert (chart.total, chart.highest.day, chart.first.day) == (17, FIRST + timedelta(days=2), FIRST)


@pytest.mark.parametrize(("chart", "is_empty"), [(day_chart(0, 0), True), (day_chart(0, 1), False)])
def test_days_without_anything_are_an_empty_chart(chart, is_empty):
    assert chart.is_empty is is_empty


def test_categories_are_ordered_and_as_long_as_what_they_count():
    chart = category_chart([("few", 1), ("none", 0), ("many", 4), ("some", 2)])
    assert [(bar.label, bar.length) for bar in chart.bars] == [("many", FULL), ("some", FULL // 2), ("few", FULL // 4)]


def test_what_there_is_no_room_for_is_one_bar_that_fits_as_well():
    chart = category_chart([("a", 5), ("b", 4), ("c", 4), ("d", 3)], most=2)
    assert [(bar.label, bar.count) for bar in chart.bars] == [("a", 5), ("b", 4), ("Others", 7)]
    assert max(bar.length for bar in chart.bars) == FULL


def test_no_categories_are_an_empty_chart():
    assert category_chart([("none", 0)]).is_empty


@pytest.mark.parametrize(
    ("age", "length", "is_over"),
    [(0, 0, False), (73, FULL // 5, False), (365, FULL, False), (366, FULL, True), (9_999, FULL, True), (-1, 0, False)],
)
def test_a_gauge_is_as_long_as_the_time_that_is_over_and_stays_in_its_frame(age, length, is_over):
    gauge = Gauge("Key 1", age, 365, FIRST)
    assert (gauge.length, gauge.is_over) == (length, is_over)


def test_a_part_of_nothing_is_nothing():
    assert part_of(5, 0) == 0


@pytest.mark.parametrize(("language", "text"), [("en", "1,234"), ("de", "1.234")])
def test_numbers_are_written_as_the_reader_writes_them(language, text):
    with translation.override(language):
        assert day_chart(1_234).total_text == text
        assert category_chart([("a", 1_234)]).bars[0].text == text
