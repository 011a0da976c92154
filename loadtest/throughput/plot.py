"""One chart as SVG text: lines over a common x, without a library for it."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

WIDTH: Final = 720
HEIGHT: Final = 420
LEFT: Final = 80
RIGHT: Final = 24
TOP: Final = 44
BOTTOM: Final = 56
COLOURS: Final = ("#1f6fb2", "#c2410c", "#15803d", "#7c3aed")

Points = Sequence[tuple[float, float]]


def chart(
    title: str,
    x: str,
    y: str,
    lines: Mapping[str, Points],
    *,
    bound: float | None = None,
    mark: float | None = None,
) -> str:
    """``bound``: a dashed line at this y; ``mark``: a dashed line at this x. Axes begin at 0.

    Raises ValueError when there is no point at all.
    """
    points = [point for line in lines.values() for point in line]
    if not points:
        raise ValueError("nothing to draw")
    right = nice(max([px for px, _ in points] + ([mark] if mark else [])))
    top = nice(max([py for _, py in points] + ([bound] if bound else [])))

    def at(px: float, py: float) -> tuple[float, float]:
        return (
            round(LEFT + px / right * (WIDTH - LEFT - RIGHT), 1),
            round(HEIGHT - BOTTOM - py / top * (HEIGHT - TOP - BOTTOM), 1),
        )

    parts = [_text(WIDTH / 2, 24, title, "middle", 16)]
    for step in range(6):
        value_x, value_y = right * step / 5, top * step / 5
        gx, bottom = at(value_x, 0)
        _, gy = at(0, value_y)
        parts += [
            f'<line x1="{LEFT}" y1="{gy}" x2="{WIDTH - RIGHT}" y2="{gy}" stroke="#ddd"/>',
            _text(gx, bottom + 18, f"{value_x:,.0f}", "middle"),
            _text(LEFT - 8, gy + 4, f"{value_y:,.0f}", "end"),
        ]
    parts += [
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x, "middle"),
        f'<g transform="rotate(-90 18 {HEIGHT / 2})">{_text(18, HEIGHT / 2, y, "middle")}</g>',
    ]
    if bound is not None:
        parts.append(_dashed(*at(0, bound), *at(right, bound)))
    if mark is not None:
        parts.append(_dashed(*at(mark, 0), *at(mark, top)))
    for number, (name, line) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{px},{py}" for px, py in (at(*point) for point in sorted(line)))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{px}" cy="{py}" r="3" fill="{colour}"/>'
            for px, py in (at(*point) for point in line)
        ]
        parts.append(_text(LEFT + 12, TOP + 16 * (number + 1), name, "start", colour=colour))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def nice(value: float) -> float:
    """The next 1, 2 or 5 times a power of ten at or above it; 1 for nothing."""
    if value <= 0:
        return 1.0
    size = 10.0 ** (len(str(int(value))) - 1) if value >= 1 else 1.0
    return next(step * size for step in (1, 2, 5, 10) if step * size >= value)


def _text(x: float, y: float, text: str, anchor: str, size: int = 12, colour: str = "#222") -> str:
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}" fill="{colour}" '
        f'font-family="sans-serif">{escape(text)}</text>'
    )


def _dashed(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#b91c1c" stroke-dasharray="6 4"/>'
    )
