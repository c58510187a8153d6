"""What `benchmark long` found, as a table and as a picture."""

from collections.abc import Mapping, Sequence

import numpy as np

_HEIGHT, _LEFT, _WIDE = 90, 110, 420


def period_table(
    periods: Mapping[str, Sequence[float]],
    slopes: Mapping[str, Mapping[str, float]],
    seconds: float,
) -> str:
    """A row a minute, the mean of its periods, and the slopes below."""
    from ...evaluation.report import table_lines

    a_minute = max(round(60 / seconds), 1)
    count = len(next(iter(periods.values())))
    rows = [["minute", *periods]]
    for first in range(0, count, a_minute):
        means = [np.mean(values[first : first + a_minute]) for values in periods.values()]
        rows.append([f"{first // a_minute + 1}", *(f"{mean:.4f}" for mean in means)])
    rows.append(["slope", *(f"{slopes[name]['per_minute']:+.4f}" for name in periods)])
    rows.append(["±", *(f"{slopes[name]['margin']:.4f}" for name in periods)])
    return "\n".join(table_lines(rows, str.rjust)) + "\n"


def curves_svg(periods: Mapping[str, Sequence[float]], seconds: float) -> str:
    """A curve a measure over the minutes, each on its own scale, which is written beside it."""
    height = len(periods) * _HEIGHT + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDE + 90} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{_LEFT + _WIDE + 90}" height="{height}" fill="#fff"/>',
    ]
    for number, (name, values) in enumerate(periods.items()):
        top, ends = number * _HEIGHT + 10, (min(values), max(values))
        scale = (_HEIGHT - 25) / ((ends[1] - ends[0]) or 1.0)
        across = _WIDE / max(len(values) - 1, 1)
        points = " ".join(
            f"{_LEFT + i * across:.1f},{top + (ends[1] - value) * scale:.1f}"
            for i, value in enumerate(values)
        )
        parts += [
            f'<text x="4" y="{top + _HEIGHT // 2 - 8}">{name}</text>',
            f'<polyline points="{points}" fill="none" stroke="#4878a8" stroke-width="2"/>',
            f'<text x="{_LEFT + _WIDE + 6}" y="{top + 10}">{ends[1]:.3f}</text>',
            f'<text x="{_LEFT + _WIDE + 6}" y="{top + _HEIGHT - 20}">{ends[0]:.3f}</text>',
        ]
    minutes = len(next(iter(periods.values()))) * seconds / 60
    parts.append(f'<text x="{_LEFT}" y="{height - 6}">0 to {minutes:g} minutes</text>')
    return "\n".join([*parts, "</svg>\n"])
