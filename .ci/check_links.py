"""Check the documents' links to other machines; `tests/documents` checks those within the repository.

Usage: python .ci/check_links.py
"""

import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = re.compile(r"\]\(<?(https?://[^)\s>]+)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
#: Answers to a program that say nothing about what a person would see.
NOT_GONE = {401, 403, 405, 429}


def addresses(text: str) -> set[str]:
    """The addresses that a document links to; code is no text."""
    return set(ADDRESS.findall(FENCE.sub("", text)))


def problem(address: str) -> str | None:
    """What is answered, if that means the link leads nowhere."""
    request = urllib.request.Request(address, headers={"User-Agent": "link check"})
    try:
        with urllib.request.urlopen(request, timeout=30):
            return None
    except urllib.error.HTTPError as error:
        return None if error.code in NOT_GONE else f"{address}: {error.code}"
    except OSError as error:
        return f"{address}: {error}"


def main() -> int:
    """Print every problem; 1 if there is one."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "*.md"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    texts = [(ROOT / name).read_text("utf-8") for name in names if name]
    found = [line for line in map(problem, sorted(set().union(*map(addresses, texts)))) if line]
    sys.stdout.write("".join(f"{line}\n" for line in found) or "all links lead somewhere\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
