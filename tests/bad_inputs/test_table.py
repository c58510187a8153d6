"""Every kind of bad input ends in one line with exit code 2, and leaves nothing; good ones run.

`pytest tests/bad_inputs` prints the table, with ten inputs of each kind; `BAD_INPUTS=all pytest
tests/bad_inputs` tries all of them, some minutes. A kind that falls names the inputs that did.
"""

import os

import pytest
from bad_inputs import (
    good,
    loras,
    media,
    networks,
    options,
    other_commands,
    poses,
    settings,
    weights,
)
from bad_inputs.harness import fault_of_refusal, fault_of_success, run_cases

pytestmark = pytest.mark.slow

KINDS = {
    name: make
    for module in (media, poses, settings, weights, networks, options, other_commands, loras)
    for name, make in module.KINDS.items()
}
COUNTS: dict[str, int] = {}
TRIED = None if os.environ.get("BAD_INPUTS") == "all" else 10


@pytest.mark.parametrize("kind", list(KINDS))
def test_bad_inputs_are_refused_in_one_line(kind, material, note, tmp_path):
    cases = material.chosen(KINDS[kind], TRIED)
    outcomes = run_cases(cases, tmp_path)
    faults = [fault_of_refusal(outcome) for outcome in outcomes]
    COUNTS[kind] = len(cases)
    note(kind, faults, sum(outcome.seconds for outcome in outcomes))
    fell = [(o.name, f, o.stderr) for o, f in zip(outcomes, faults, strict=True) if f]
    assert not fell, "\n".join(f"{name}: {fault}\n    {err[-1500:]}" for name, fault, err in fell)


@pytest.mark.parametrize("kind", list(good.KINDS))
def test_good_inputs_of_the_same_kinds_run(kind, material, note, tmp_path):
    cases = list(good.KINDS[kind](material))
    outcomes = run_cases(cases, tmp_path)
    faults = [fault_of_success(outcome) for outcome in outcomes]
    note(f"good {kind}", faults, sum(outcome.seconds for outcome in outcomes))
    fell = [(o.name, f) for o, f in zip(outcomes, faults, strict=True) if f]
    assert not fell, "\n".join(f"{name}: {fault}" for name, fault in fell)


def test_there_are_enough():
    if len(COUNTS) < len(KINDS):
        pytest.skip("only some kinds ran")
    assert len(KINDS) >= 60
    assert sum(COUNTS.values()) >= 800
