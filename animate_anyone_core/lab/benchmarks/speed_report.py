"""What `benchmark speed` found, as a table and as a picture."""

from collections.abc import Mapping, Sequence
from html import escape

Row = Mapping[str, str | float]

_HEADINGS = ("", "s a frame and step", "times plain", "spread", "GFLOP", "peak MB")
_BAR, _LEFT, _WIDE = 26, 110, 420


def report_table(rows: Sequence[Row]) -> str:
    """One line an engine."""
    from ...evaluation.report import table_lines

    cells = [list(_HEADINGS)]
    cells += [
        [
            str(row["engine"]),
            f"{row['seconds']:.4f}",
            f"{row['speed-up']:.2f}",
            f"{row['smallest']:.2f} to {row['largest']:.2f}",
            f"{row['gigaflops']:.1f}",
            f"{row['peak_megabytes']:.0f}",
        ]
        for row in rows
    ]
    return "\n".join(table_lines(cells, str.rjust)) + "\n"


def bars_svg(title: str, rows: Sequence[Row]) -> str:
    """A bar an engine, as long as a step of a frame takes."""
    longest = max(float(row["seconds"]) for row in rows)
    height = (len(rows) + 1) * _BAR
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDE + 130} {height}" '
        'font-family="sans-serif" font-size="13">',
        f'<text x="4" y="16">{escape(title)}</text>',
    ]
    for number, row in enumerate(rows, 1):
        top, length = number * _BAR, _WIDE * float(row["seconds"]) / longest
        label = f"{row['seconds']:.4f} s, {row['speed-up']:.2f} times plain"
        parts += [
            f'<text x="4" y="{top + 16}">{escape(str(row["engine"]))}</text>',
            f'<rect x="{_LEFT}" y="{top + 3}" width="{length:.1f}" height="18" fill="#4878a8"/>',
            f'<text x="{_LEFT + length + 6:.1f}" y="{top + 16}">{label}</text>',
        ]
    return "\n".join([*parts, "</svg>\n"])
