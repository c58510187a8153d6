"""A file that lies within another one, such as a member of a tar: read where it is."""

from pathlib import Path
from typing import NamedTuple


class FilePart(NamedTuple):
    """Some bytes of a file.

    Attributes:
        whole: The file that they lie in.
        start: Where they begin.
        size: How many they are.
        name: What they are called where they are told of.
    """

    whole: Path
    start: int
    size: int
    name: str

    @property
    def url(self) -> str:
        """What FFmpeg opens; whatever stands behind the last colon is the file's name."""
        end = self.start + self.size
        return f"subfile,,start,{self.start},end,{end},,:{self.whole.absolute()}"


#: Where a video is.
FilePlace = Path | FilePart
