"""Check the links of the documents: files, headings, and with `--online` other places.

Usage: python .ci/check_links.py [--online]
"""

import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HELP_PAGES = ROOT / "web" / "docs"
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
#: What these say about a stranger's program says nothing about the link.
NOT_GONE = {401, 403, 405, 429}


def anchors(text: str) -> set[str]:
    """The names of a document's headings, as the web page of a repository forms them."""
    found: set[str] = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading).strip().lower()
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number, numbered = 0, name
        while numbered in found:
            number += 1
            numbered = f"{name}-{number}"
        found.add(numbered)
    return found


def base_of(document: Path) -> Path:
    """Where relative links start: ComfyUI shows every help page as if it lay in `web/docs` itself."""
    return HELP_PAGES if document.is_relative_to(HELP_PAGES) else document.parent


def problems(document: Path) -> Iterator[str]:
    """What is wrong with a document's links to files and headings."""
    text = document.read_text("utf-8")
    for link in LINK.findall(FENCE.sub("", text)):
        address = urllib.parse.urlsplit(link)
        if address.scheme or address.netloc:
            continue
        path = urllib.parse.unquote(address.path)
        target = base_of(document) / path if path else document
        if not target.exists():
            yield f"{link}: no such file"
        elif address.fragment and target.suffix == ".md":
            names = anchors(target.read_text("utf-8"))
            if urllib.parse.unquote(address.fragment) not in names:
                yield f"{link}: no such heading; there are {', '.join(sorted(names))}"


def other_places(document: Path) -> set[str]:
    """A document's links to other machines."""
    links = LINK.findall(FENCE.sub("", document.read_text("utf-8")))
    return {link for link in links if link.startswith(("http://", "https://"))}


def problem_online(link: str) -> str | None:
    """What another machine answers, if that means the link leads nowhere."""
    request = urllib.request.Request(link, headers={"User-Agent": "link check"})
    try:
        with urllib.request.urlopen(request, timeout=30):
            return None
    except urllib.error.HTTPError as error:
        return None if error.code in NOT_GONE else f"{link}: {error.code}"
    except OSError as error:
        return f"{link}: {error}"


def documents() -> list[Path]:
    """All documents of the repository."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "*.md"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in names if name]


def main() -> int:
    """Print every problem; 1 if there is one."""
    found = [
        f"{document.relative_to(ROOT).as_posix()}: {problem}"
        for document in documents()
        for problem in problems(document)
    ]
    if "--online" in sys.argv[1:]:
        links = sorted(set().union(*map(other_places, documents())))
        found += [problem for problem in map(problem_online, links) if problem]
    sys.stdout.write("".join(f"{line}\n" for line in found) or "all links lead somewhere\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
