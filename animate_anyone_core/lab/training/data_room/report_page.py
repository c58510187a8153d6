"""The data room's report: one HTML page with what was kept, what was left out, and why."""

import base64
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ....files import whole_file
from ..footage import Footage, Shot
from .filters import Measures, Reason

_STYLE = """body{font:15px sans-serif;margin:2em;max-width:70em}table{border-collapse:collapse}
td,th{padding:.2em .8em;text-align:left}.bar{background:#47a;height:1em;display:inline-block}
figure{display:inline-block;margin:.4em;width:11em;vertical-align:top;font-size:12px;
overflow-wrap:anywhere}
img{height:120px;max-width:100%;object-fit:contain}.out{color:#a22}svg{margin:.5em}"""
_SHOWN = 60
_BINS = 20


class Judged(NamedTuple):
    """A clip, and what was found: measures, picture and frames are None where it could not be read."""

    clip: Shot
    reasons: Sequence[Reason]
    measures: Measures | None
    thumbnail: np.ndarray | None
    footage: Footage | None = None


def write_report(path: Path, clips: Sequence[Judged]) -> None:
    """Write the page.

    Raises:
        MediaError: If it cannot be written.
    """
    with whole_file(path) as part:
        part.write_text(_page(clips), encoding="utf-8")


def explain(judged: Judged) -> str:
    """What is known of a clip and why it is kept or left out, as lines of text."""
    lines = [f"{judged.clip.name}:"]
    lines += [f"  {text}" for text in _made_of(judged)]
    if judged.measures is not None:
        for name, value in judged.measures._asdict().items():
            lines.append(
                f"  {name:10} {'nothing can be said' if value is None else f'{value:.3g}'}"
            )
    lines += [f"  left out ({reason.kind}): {reason.text}" for reason in judged.reasons]
    if not judged.reasons:
        lines.append("  kept")
    return "\n".join(lines)


def _made_of(judged: Judged) -> list[str]:
    """What was made of the film's frames, if anything."""
    clip = judged.footage
    if clip is None or clip.is_untouched:
        return []
    lines = []
    if clip.picks is not None:
        start, end = int(clip.picks[0]), int(clip.picks[-1]) + 1
        lines.append(f"frames {start} to {end - 1} of {judged.clip.film.name}")
        if clip.num_frames != end - start:
            lines.append(f"{clip.num_frames} of them, {clip.fps:.4g} a second")
    if clip.window is not None:
        left, top, right, bottom = clip.window
        lines.append(f"{right - left}x{bottom - top} pixels at ({left}, {top}) are cut out")
    return lines


def _page(clips: Sequence[Judged]) -> str:
    kept = [clip for clip in clips if not clip.reasons]
    out = [clip for clip in clips if clip.reasons]
    films = len({clip.clip.film for clip in clips})
    of = f" of {films} films" if films < len(clips) else ""
    parts = [
        "<!doctype html><html><meta charset='utf-8'><title>Clips</title>",
        f"<style>{_STYLE}</style><h1>{len(kept)} of {len(clips)} clips{of} kept</h1>",
        _funnel(clips),
        "<h2>Measures</h2>",
        *(_histogram(name, values) for name, values in _values(clips).items()),
        f"<h2>Kept</h2>{_sheet(kept)}",
        f"<h2>Left out</h2>{_sheet(out)}</html>",
    ]
    return "\n".join(parts)


def _funnel(clips: Sequence[Judged]) -> str:
    """Clips that are left after the filters, each clip counted at its first reason."""
    first = Counter(clip.reasons[0].kind for clip in clips if clip.reasons)
    rows, left = [("all", len(clips), 0)], len(clips)
    for kind, count in first.most_common():
        left -= count
        rows.append((kind, left, count))
    body = "".join(
        f"<tr><td>{escape(kind)}</td><td class='out'>{-count or ''}</td><td>{number}</td>"
        f"<td><span class='bar' style='width:{20 * number / max(1, len(clips)):.2f}em'></span></td></tr>"
        for kind, number, count in rows
    )
    return f"<h2>What is left</h2><table>{body}</table>"


def _values(clips: Sequence[Judged]) -> Mapping[str, list[float]]:
    values: dict[str, list[float]] = {name: [] for name in Measures._fields}
    for clip in clips:
        if clip.measures is not None:
            for name, value in clip.measures._asdict().items():
                if value is not None:
                    values[name].append(float(value))
    return values


def _histogram(name: str, values: Sequence[float]) -> str:
    if not values:
        return ""
    low, high = min(values), max(values)
    if high - low <= 1e-6 * max(1.0, abs(high)):  # all alike
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(values, _BINS, (low, high))
    bars = "".join(
        f"<rect x='{10 * i}' y='{60 - 60 * n / counts.max():.1f}' width='9' "
        f"height='{60 * n / counts.max():.1f}' fill='#47a'/>"
        for i, n in enumerate(counts)
    )
    return (
        f"<svg width='{10 * _BINS}' height='90'>{bars}<text y='74' font-size='11'>{edges[0]:.3g}"
        f"</text><text x='{10 * _BINS}' y='74' font-size='11' text-anchor='end'>{edges[-1]:.3g}"
        f"</text><text y='88' font-size='12'>{escape(name)}</text></svg>"
    )


def _sheet(clips: Sequence[Judged]) -> str:
    figures = []
    for clip in clips[:_SHOWN]:
        picture = "" if clip.thumbnail is None else f"<img src='{_inline(clip.thumbnail)}'>"
        why = "; ".join(reason.text for reason in clip.reasons)
        figures.append(
            f"<figure>{picture}<br>{escape(clip.clip.name)}<br>{escape('; '.join(_made_of(clip)))}<br>"
            f"<span class='out'>{escape(why)}</span></figure>"
        )
    if len(clips) > _SHOWN:
        figures.append(f"<p>and {len(clips) - _SHOWN} more</p>")
    return "".join(figures)


def _inline(picture: np.ndarray) -> str:
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"
