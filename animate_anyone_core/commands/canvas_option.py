"""`--canvas`: the size of the video that poses are from."""

from ..borders.options import parse_size


def parse_canvas(text: str | None) -> tuple[int, int] | None:
    """Read a size such as 1280x720, if it is given; raises as `parse_size`."""
    return None if text is None else parse_size(text, "--canvas")
