"""One family's networks with the hashed weights, built once."""

import copy

import pytest
import torch

from animate_anyone_core.self_test.core_calls import build_networks
from animate_anyone_core.self_test.precision import PRECISIONS
from animate_anyone_core.self_test.reference_numbers import ReferenceNumbers, shipped_families


@pytest.fixture(scope="session", autouse=True)
def _one_thread_each():
    """The networks are small: more threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def numbers():
    """The small numbers by family."""
    return {folder.name: ReferenceNumbers(folder) for folder in shipped_families()}


@pytest.fixture(scope="session")
def built(numbers):
    """Networks in float32; never change them: see `networks`."""
    return build_networks(numbers["moore"], "cpu", PRECISIONS["fp32"])


@pytest.fixture
def networks(built):
    """Networks of this test's own."""
    return copy.deepcopy(built)
