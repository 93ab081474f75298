"""A plot of lines over powers of ten, as SVG: each line is named at its end, with the slope of its logarithms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

_WIDTH: Final = 900
_HEIGHT: Final = 480
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 300, 46, 60
#: Room for the name of a line.
_LABEL: Final = 20
# Told apart by everybody, and 4.5:1 and more on the paper of either; the lines have names besides.
_COLORS: Final = (
    ("#0b5cad", "#6db3f2"),
    ("#a3401c", "#f0955f"),
    ("#1c7046", "#5fc48f"),
    ("#7a3b9c", "#c595e3"),
    ("#6b5a00", "#d6bd45"),
)
_MARKS: Final = ("circle", "square", "diamond", "triangle", "cross")


@dataclass(frozen=True)
class Line:
    """What was measured, by how much there was."""

    name: str
    points: Sequence[tuple[int, float]]

    @property
    def slope(self) -> float:
        """By least squares on the logarithms: 0 does not grow, 1 grows as what is there does."""
        across = [math.log10(size) for size, _ in self.points]
        up = [math.log10(value) for _, value in self.points]
        middle, height = sum(across) / len(across), sum(up) / len(up)
        spread = sum((each - middle) ** 2 for each in across)
        return sum((x - middle) * (y - height) for x, y in zip(across, up, strict=True)) / spread if spread else 0.0


def plot(lines: Sequence[Line], *, across: str, up: str) -> str:
    """The picture, on paper of its own: text can be read wherever it is shown, on light and on dark pages."""
    sizes = [size for line in lines for size, _ in line.points]
    values = [value for line in lines for _, value in line.points]
    first, last = math.floor(math.log10(min(sizes))), math.ceil(math.log10(max(sizes)))
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))

    def x(size: float) -> float:
        return _LEFT + (math.log10(size) - first) / (last - first or 1) * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (math.log10(value) - low) / (high - low or 1) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [_head(lines, across, up), f'<rect class="paper" width="{_WIDTH}" height="{_HEIGHT}"/>']
    for power in range(low, high + 1):
        height = y(10**power)
        parts.append(f'<path class="grid" d="M{_LEFT} {height:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{height + 5:.1f}" text-anchor="end">{10**power:,}</text>')
    for power in range(first, last + 1):
        place = x(10**power)
        parts.append(f'<path class="grid" d="M{place:.1f} {_TOP}V{_HEIGHT - _BOTTOM}"/>')
        parts.append(f'<text x="{place:.1f}" y="{_HEIGHT - _BOTTOM + 20}" text-anchor="middle">{10**power:,}</text>')
    parts.append(f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 12}" text-anchor="middle">{across}</text>')
    parts.append(f'<text x="12" y="24">{up}</text>')
    heights = _apart([y(line.points[-1][1]) for line in lines])
    for number, (line, height) in enumerate(zip(lines, heights, strict=True)):
        places = [(x(size), y(value)) for size, value in line.points]
        way = " ".join(f"{left:.1f},{top:.1f}" for left, top in places)
        end = _WIDTH - _RIGHT
        parts.append(f'<g class="line{number}"><polyline points="{way}"/>')
        parts += [_mark(_MARKS[number % len(_MARKS)], left, top) for left, top in places]
        parts.append(f'<path class="lead" d="M{places[-1][0] + 6:.1f} {places[-1][1]:.1f}L{end + 18} {height:.1f}"/>')
        label = f"{escape(line.name)}, slope {line.slope:+.2f}".replace("-", "−")
        parts.append(f'<text x="{end + 24}" y="{height + 5:.1f}">{label}</text></g>')
    return "\n".join([*parts, "</svg>", ""])


def _head(lines: Sequence[Line], across: str, up: str) -> str:
    said = "; ".join(
        f"{line.name}: {', '.join(f'{value:.3g} at {size:,}' for size, value in line.points)}, slope {line.slope:+.2f}"
        for line in lines
    )
    light, dark = (
        "".join(f".line{number}{{--ink:{colors[paper]}}}" for number, colors in enumerate(_COLORS[: len(lines)]))
        for paper in (0, 1)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="t d">\n'
        f'<title id="t">{up} by {across}</title>\n<desc id="d">{escape(said)}</desc>\n'
        "<style>text{font:14px system-ui,sans-serif;fill:#1f2328}.paper{fill:#fff}.grid{stroke:#d0d7de}"
        f"{light}g text{{fill:var(--ink)}}g *{{stroke-width:2}}polyline,.lead{{fill:none;stroke:var(--ink)}}"
        ".lead{stroke-width:1;stroke-dasharray:2 3}.mark{fill:var(--ink)}"
        "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.paper{fill:#0d1117}.grid{stroke:#30363d}"
        f"{dark}}}</style>"
    )


def _mark(kind: str, left: float, top: float) -> str:
    """A point of a line; the lines differ in form too."""
    outlines = {
        "circle": "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
        "square": "m-4 -4h8v8h-8z",
        "diamond": "m0 -6l6 6l-6 6l-6 -6z",
        "triangle": "m0 -6l6 10h-12z",
        "cross": "m-5 -2h3v-3h4v3h3v4h-3v3h-4v-3h-3z",
    }
    return f'<path class="mark" d="M{left:.1f} {top:.1f}{outlines[kind]}"/>'


def _apart(heights: list[float]) -> list[float]:
    """The same, but none so near another that their names would touch."""
    placed: dict[int, float] = {}
    lowest = -math.inf
    for number in sorted(range(len(heights)), key=heights.__getitem__):
        placed[number] = lowest = max(heights[number], lowest + _LABEL)
    # Whatever went over the edge pushes the others back up.
    highest = _HEIGHT - _BOTTOM + _LABEL
    for number in sorted(placed, key=lambda each: -placed[each]):
        placed[number] = highest = min(placed[number], highest - _LABEL)
    return [placed[number] for number in range(len(heights))]
