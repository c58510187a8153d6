"""A short run of the fuzz targets: the corpus, and inputs made from it; the long one is `run.py`."""

import random
from pathlib import Path

import pytest

from .targets import TARGETS, run, words

CORPUS = Path(__file__).parent / "corpus"
TRIES = 400


def changed(data: bytes, dice: random.Random, vocabulary: list[bytes]) -> bytes:
    """The same input with one to eight places flipped, cut, doubled or filled with a word."""
    mutable = bytearray(data)
    for _ in range(dice.randint(1, 8)):
        at = dice.randrange(len(mutable) + 1)
        end = min(at + dice.choice([1, 2, 8, 64]), len(mutable))
        kind = dice.randrange(4)
        if kind == 0 and at < len(mutable):
            mutable[at] = dice.randrange(256)
        elif kind == 1:
            del mutable[at:end]
        elif kind == 2:
            mutable[at:at] = mutable[at:end]
        else:
            mutable[at : at if dice.random() < 0.5 else end] = dice.choice(vocabulary)
    return bytes(mutable)


@pytest.mark.parametrize("target", TARGETS)
def test_everything_is_answered_or_refused(target):
    seeds = [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]
    assert len(seeds) >= 4
    for seed in seeds:
        run(target, seed)
    dice, vocabulary = random.Random(0), words()
    for _ in range(TRIES):
        data = dice.choice(seeds)
        if dice.random() < 0.1:  # two halves
            other = dice.choice(seeds)
            data = data[: dice.randrange(len(data))] + other[dice.randrange(len(other)) :]
        data = changed(data, dice, vocabulary)
        try:
            run(target, data)
        except Exception as error:
            pytest.fail(f"{target} {data!r}: {type(error).__name__}: {error}")


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_holds_inputs_that_are_taken(target):
    """Else every mutation would be refused at the first border."""
    seeds = [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]
    TARGETS[target](seeds[0])  # raises nothing
