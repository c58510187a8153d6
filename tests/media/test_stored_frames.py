"""Frames in a temporary file: every one comes back as it was, in any order."""

import tempfile

import numpy as np
import pytest

from animate_anyone_core.errors import ShapeError
from animate_anyone_core.media.stored_frames import store_frames


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 256, (9, 20, 30, 3), dtype=np.uint8)


def test_reads_as_the_array_it_was_made_of(frames):
    stored = store_frames(frame[:, ::-1] for frame in frames)  # not contiguous
    assert (len(stored), stored.shape) == (9, frames.shape)
    for numbers in (range(9), [5, 5, 0, 8], [3], []):
        assert np.array_equal(stored[numbers], frames[list(numbers), :, ::-1])


def test_frames_are_taken_one_by_one(frames):
    """A stream may hand over the same array again and again."""
    canvas = np.empty_like(frames[0])

    def drawn():
        for frame in frames:
            canvas[:] = frame
            yield canvas

    assert np.array_equal(store_frames(drawn())[range(9)], frames)


def test_nothing_is_left_behind(frames, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stored = store_frames(frames)
    del stored
    assert not list(tmp_path.iterdir())


def test_refusals(frames):
    with pytest.raises(ShapeError, match=r"^A clip needs at least 1 frame, got none\.$"):
        store_frames([])
    with pytest.raises(ShapeError) as error:
        store_frames([frames[0], frames[1, :10]])
    assert str(error.value) == (
        "Frames of a clip must be uint8 and of one size: frame 1 is (10, 30, 3) uint8, the first is "
        "(20, 30, 3)."
    )
    with pytest.raises(ShapeError, match=r"frame 0 is .* float64"):
        store_frames(frames / 2)
