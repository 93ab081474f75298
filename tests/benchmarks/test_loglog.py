"""The plot of growth: the slope is that of the logarithms, and the picture says in words what it shows."""

import re
from xml.etree import ElementTree as ET

import pytest

from benchmarks.loglog import Line, plot

SVG = "{http://www.w3.org/2000/svg}"
SIZES = (1_000, 10_000, 100_000)


@pytest.mark.parametrize("power", [0, 0.5, 1, 2])
def test_the_slope_is_the_power_by_which_a_time_grows(power):
    assert Line("list", [(size, 7 * size**power) for size in SIZES]).slope == pytest.approx(power)


def test_one_point_has_no_slope():
    assert Line("list", [(1_000, 7)]).slope == 0


@pytest.fixture
def picture():
    near = [Line(name, [(size, 10 + number / 10) for size in SIZES]) for number, name in enumerate(("list", "a < b"))]
    return ET.fromstring(plot(near, across="orders", up="milliseconds"))  # noqa: S314 - made here


def test_it_has_a_title_and_all_figures_as_text(picture):
    assert picture.get("role") == "img"
    assert picture.find(f"{SVG}title").text == "milliseconds by orders"
    assert "list: 10 at 1,000, 10 at 10,000, 10 at 100,000, slope +0.00" in picture.find(f"{SVG}desc").text


def test_each_line_is_named_beside_its_end_and_no_name_is_upon_another(picture):
    labels = [text for text in picture.iter(f"{SVG}text") if "slope" in text.text]
    assert {re.sub(",.*", "", label.text) for label in labels} == {"list", "a < b"}
    heights = sorted(float(label.get("y")) for label in labels)
    assert heights[1] - heights[0] >= 20
