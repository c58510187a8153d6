"""Take out of a text what tells who somebody is: names, folders, addresses, tokens."""

import getpass
import os
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_SECRETS = (
    (re.compile(r"\b(?:hf|ghp|gho|github_pat|sk|glpat)[_-][A-Za-z0-9_-]{8,}"), "<token>"),
    # scheme and host stay: they tell what failed; the rest may hold names and tokens
    (re.compile(r"\b(https?|ftp|wss?)://(?:[^/\s@]*@)?([^/\s?#]+)[^\s'\"<>)]*"), r"\1:<//>\2"),
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "<mail>"),
)
# Where a path starts: a drive, a share, a root, the home folder. Not 1/2, and/or, "a / b".
_START = (
    r"(?:file:/+|(?<![A-Za-z])[A-Za-z]:[\\/]|\\\\(?=[^\s\\])|~[\w.-]*[\\/]"
    r"|(?<![\w.<>/\\~|)-])/(?=[^\s/]))"
)
_QUOTED = re.compile(rf"(['\"`])({_START}[^\n]*?)\1(?!\w)")
# Folders may hold spaces, so a bare path reaches to the last separator before a quote or the end of
# the line; an apostrophe within a word is no quote.
_BARE = re.compile(rf"{_START}(?:(?:[^\n'\"`]|(?<=\w)'(?=\w))*[\\/])?")
_TO_LAST = re.compile(rf"{_START}(?:[^\n]*[\\/])?")


@dataclass(frozen=True)
class Privacy:
    """What must not appear.

    Attributes:
        users: Names of the user.
        hosts: Names of the machine.
    """

    users: tuple[str, ...]
    hosts: tuple[str, ...]

    @classmethod
    def of_this_machine(cls) -> "Privacy":
        """The names that this process can find out."""
        names = [os.environ.get(key, "") for key in ("USER", "LOGNAME", "LNAME", "USERNAME")]
        for find in (getpass.getuser, lambda: Path.home().name):
            try:
                names.append(find())
            except (OSError, KeyError, RuntimeError, ImportError):  # nobody knows
                continue
        for key in ("HOME", "USERPROFILE"):
            names.append(re.split(r"[\\/]", os.environ.get(key, "").rstrip("\\/"))[-1])
        host = socket.gethostname()
        return cls(_distinct(names), _distinct([host, host.partition(".")[0]]))

    def clean(self, text: str) -> str:
        """Take out paths (file names stay), addresses, tokens, and the names.

        What stands between two paths of one line may go with them: better too much than a name.
        """
        for names, put in ((self.users, "<user>"), (self.hosts, "<host>")):
            for name in names:
                word = rf"(?<![^\W_]){re.escape(name)}(?![^\W_])"
                text = re.sub(word, put, text, flags=re.IGNORECASE)
        for pattern, put in _SECRETS:
            text = pattern.sub(put, text)
        text = _QUOTED.sub(lambda m: m[1] + _TO_LAST.sub("<path>/", m[2]) + m[1], text)
        return _BARE.sub("<path>/", text).replace("<//>", "//")


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    """Longest first, so that one that holds another goes first."""
    return tuple(sorted({name.strip() for name in names} - {""}, key=len, reverse=True))
