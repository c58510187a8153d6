"""Every relative link and anchor of the documents leads somewhere, and every picture is there."""

import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?: \"[^\"]*\")?\)")


def documents() -> list[str]:
    """Tracked documents, or those of the folder if this is no git repository."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "*.md"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.returncode:
        return sorted(name for name in done.stdout.split("\0") if name)
    places = ("*.md", "docs/*.md", "web/docs/**/*.md", "animate_anyone_core/**/*.md")
    return sorted(p.relative_to(ROOT).as_posix() for place in places for p in ROOT.glob(place))


def links_of(text: str) -> list[str]:
    """Where the links and pictures of a text lead; code is no text."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return LINK.findall(re.sub(r"`[^`\n]*`", lambda code: code[0].replace("](", "] ("), text))


def anchors_of(text: str) -> set[str]:
    """The anchors that GitHub gives headings: lower case, no punctuation, dashes for spaces."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    anchors: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        again = sum(
            a == anchor or re.fullmatch(rf"{re.escape(anchor)}-\d+", a) is not None for a in anchors
        )
        anchors.add(f"{anchor}-{again}" if again else anchor)
    return anchors


def place_of(link: str, document: Path) -> Path:
    """The file that a relative link means; help pages' pictures are served from their own folder."""
    path = unquote(link.split("#")[0])
    if not path:
        return document
    page_folder = ROOT / "web" / "docs"
    if page_folder in document.parents:
        return (
            page_folder / path
        )  # ComfyUI's help panel resolves against the pack's folder of pages
    return document.parent / path


def test_links_and_anchors_are_found():
    text = (
        '# A `b`, c!\n[x](a.md#y) ![p](p.png "t") <http://z> `[n](o)`\n```\n[n](o)\n# no\n```\n'
        "## [Linked](l.md)\n## Twice\n## Twice\n"
    )
    assert links_of(text) == ["a.md#y", "p.png", "l.md"]
    assert anchors_of(text) == {"a-b-c", "linked", "twice", "twice-1"}


@pytest.mark.parametrize("name", documents())
def test_links_lead_somewhere(name):
    document = ROOT / name
    broken = []
    for link in links_of(document.read_text("utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        place, anchor = place_of(link, document), link.partition("#")[2]
        if not place.exists() or (anchor and anchor not in anchors_of(place.read_text("utf-8"))):
            broken.append(link)
    assert broken == []


def test_every_picture_of_the_documents_is_shown():
    """A picture in docs/ that no document shows is left over."""
    shown = {
        place_of(link, ROOT / name).resolve()
        for name in documents()
        for link in links_of((ROOT / name).read_text("utf-8"))
    }
    endings = (".png", ".jpg", ".webp", ".gif")
    pictures = {p.resolve() for p in (ROOT / "docs").iterdir() if p.suffix in endings}
    assert pictures - shown == set()
