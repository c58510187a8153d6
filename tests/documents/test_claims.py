"""docs/claims.md covers every figure and every strong word of the documents, with the same figures."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "claims.md"
DOCUMENTS = (
    "README.md",
    "animate_anyone_core/builtin/MODEL_CARD.md",
    "docs/training.md",
    "docs/evaluation.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
)
UNITS = (
    r"%|dB|[GMk]B|billion|million|M parameters|ms|px"
    r"|s\b|seconds?\b|min\b|minutes?\b|hours?\b|times\b(?! \w+ targets)"
)
NUMBER = r"(?<![\w.,])\d(?:[\d,]*\d)?(?:\.\d+)?"
SPELT = "(?:two|three|four|five|six|seven|eight|nine|ten|several)"
FIGURE = re.compile(
    rf"{NUMBER}\s?(?:{UNITS})|\b{SPELT} (?:and a half )?(?:minutes|hours|times)\b", re.IGNORECASE
)
STRONG = re.compile(
    r"\b(?:exact(?:ly)?|never|always|faster|slower|quicker|safer|identical|bit-identical"
    r"|bit for bit|guarantee[ds]?|to rounding|is not mixed)\b",
    re.IGNORECASE,
)
FIELDS = ("shown by", "figure", "seen")
MORE = " …"


def flat(text: str) -> str:
    """Text with every run of white space as one space."""
    return " ".join(text.split())


@dataclass(frozen=True)
class Claim:
    """One entry of the page."""

    name: str
    document: str
    quotes: tuple[str, ...]
    fields: dict[str, str]


def read_page(text: str) -> list[Claim]:
    """Entries: `### name`, `in DOCUMENT`, quotes, then a list of fields."""
    claims = []
    for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        part = re.split(r"^## ", part, flags=re.MULTILINE)[0]
        name = part.splitlines()[0].strip()
        document = re.search(r"^in \[[^]]+\]\(([^)]+)\)", part, re.MULTILINE)
        quotes, lines = [], []
        for line in [*part.splitlines(), ""]:
            if line.startswith(">"):
                lines.append(line[1:])
            elif lines:
                quotes.append(flat(" ".join(lines)))
                lines = []
        fields = re.findall(r"^\* \*\*([a-z ]+)\*\*: (.+?)(?=^\* \*\*|\Z)", part, re.M | re.S)
        where = (PAGE.parent / document[1]).resolve() if document else ROOT
        claims.append(
            Claim(
                name,
                where.relative_to(ROOT).as_posix(),
                tuple(quotes),
                {key: flat(value) for key, value in fields},
            )
        )
    return claims


def prose(path: str) -> str:
    """A document without its code blocks and addresses."""
    text = (ROOT / path).read_text("utf-8")
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"\]\([^)]*\)", "]", text)


def span_of(quote: str, path: str) -> tuple[int, int] | None:
    """Where a quote stands in the flat document; one that ends with … goes on to its table's end."""
    text = prose(path)
    start = flat(text).find(quote.removesuffix(MORE))
    if start < 0:
        return None
    length = len(quote.removesuffix(MORE))
    if quote.endswith(MORE):
        tables = [flat(t) for t in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)]
        table = next(t for t in tables if t.startswith(quote.removesuffix(MORE)))
        length = len(table)
    return start, start + length


CLAIMS = read_page(PAGE.read_text("utf-8"))


def numbers(text: str) -> set[str]:
    return set(re.findall(NUMBER, text))


def test_the_reader_of_the_page_reads():
    text = (
        "### one\nin [README.md](../README.md)\n\n> ten\n> dB\n\n> 5 %\n\n"
        "* **shown by**: `x`,\n  and y\n* **figure**: 5 %\n\n## Next\n> no quote\n"
    )
    fields = {"shown by": "`x`, and y", "figure": "5 %"}
    assert read_page(text) == [Claim("one", "README.md", ("ten dB", "5 %"), fields)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("it takes 4.5 hours", ["4.5 hours"]),
        ("four and a half hours of it", ["four and a half hours"]),
        ("**23.4 dB** and 1,200 MB, 3 %", ["23.4 dB", "1,200 MB", "3 %"]),
        ("24 frames of 512x512, 3 steps, 13 samples", []),
        ("It is exactly so, and NEVER otherwise", ["exactly", "NEVER"]),
        ("an example of exactness", []),
    ],
)
def test_figures_and_strong_words_are_recognised(text, found):
    assert [m[0] for p in (FIGURE, STRONG) for m in p.finditer(text)] == found


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
class TestAClaim:
    def test_names_a_document_and_quotes_it_word_for_word(self, claim):
        assert claim.document in DOCUMENTS
        assert claim.quotes
        for quote in claim.quotes:
            assert span_of(quote, claim.document), f"{claim.document} does not say: {quote}"

    def test_says_how_it_is_shown_what_was_measured_when_and_where(self, claim):
        if "no claim" in claim.fields:
            assert len(claim.fields["no claim"]) > 20
            return
        assert set(claim.fields) == set(FIELDS)
        assert "`" in claim.fields["shown by"], "a command that anybody can run"
        assert re.search(r"20\d\d-\d\d-\d\d", claim.fields["seen"])

    def test_has_the_figures_that_it_quotes(self, claim):
        if "no claim" in claim.fields:
            return
        for quote in claim.quotes:
            if not quote.endswith(MORE):
                quoted = {number for found in FIGURE.findall(quote) for number in numbers(found)}
                assert quoted <= numbers(claim.fields["figure"]), quote


def test_names_are_not_used_twice():
    names = [claim.name for claim in CLAIMS]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_figure_and_every_strong_word_is_on_the_page(path):
    """If this fails: add the sentence to docs/claims.md, with the command that shows it."""
    text = flat(prose(path))
    quotes = [quote for claim in CLAIMS if claim.document == path for quote in claim.quotes]
    spans = [span for quote in quotes if (span := span_of(quote, path))]
    missing = [
        text[max(0, found.start() - 60) : found.end() + 40]
        for pattern in (FIGURE, STRONG)
        for found in pattern.finditer(text)
        if not any(a <= found.start() and found.end() <= b for a, b in spans)
    ]
    assert missing == []


def test_named_tests_and_files_exist():
    """A command on the page that names a test or a script names one that is there."""
    text = PAGE.read_text("utf-8")
    for path, _, test in re.findall(r"\b((?:tests|docs)/[\w/]+\.py|tests/\w+)(::(\w+))?", text):
        assert (ROOT / path).exists(), path
        if test:
            assert f"def {test}(" in (ROOT / path).read_text("utf-8"), f"{path}::{test}"
