"""Room for a clip: files hold the same numbers as memory, and no memory stays with them."""

import sys

import pytest
import torch

from animate_anyone_core.sampling import clip_room
from animate_anyone_core.sampling.clip_room import ClipRoom
from animate_anyone_core.sampling.denoise import make_noise
from animate_anyone_core.self_test.process_memory import read_process_memory

IN_FILES = pytest.mark.skipif(sys.platform != "linux", reason="files give pages back on Linux only")


@pytest.mark.parametrize("shape", [(3, 1, 1), (4, 2, 3), (4, 5, 7), (16, 8, 8)])
@pytest.mark.parametrize("num_frames", [1, 15, 16, 17, 31, 32, 47, 50])
@pytest.mark.parametrize("most", [0, 1 << 30])
def test_noise_is_that_of_one_draw(shape, num_frames, most):
    """In memory and in files, and what is drawn next, too."""
    own, whole = (torch.Generator().manual_seed(7) for _ in range(2))
    made = make_noise(num_frames, *shape, own, room=ClipRoom(most))
    assert torch.equal(made[0].transpose(0, 1), torch.randn(num_frames, *shape, generator=whole))
    assert torch.equal(torch.randn(5, generator=own), torch.randn(5, generator=whole))


@IN_FILES
def test_what_is_released_is_still_there():
    room = ClipRoom(0)
    frames = room.frames(20, (3, 5), torch.empty(0))
    assert room._files, "it is in a file"
    frames.copy_(torch.arange(300.0).view(20, 3, 5))
    room.release()
    assert torch.equal(frames, torch.arange(300.0).view(20, 3, 5))
    frames[7] = -1.0
    del room
    assert (frames[7] == -1.0).all()
    assert frames[19, 2, 4] == 299.0


@IN_FILES
def test_a_long_clip_takes_no_memory_beyond_what_is_at_work():
    """100 MB are filled and gone through; the process grows by less than a quarter of it."""
    room = ClipRoom()
    before = read_process_memory().total
    clip = room.filled(
        1600, lambda part: torch.full((part.stop - part.start, 16384), float(part.start))
    )
    for start in range(0, 1600, 16):
        clip[start : start + 16] += 1.0
        room.release()
    assert read_process_memory().total - before < 25e6
    assert (clip[::16, 0] == torch.arange(0.0, 1600.0, 16.0) + 1.0).all()


def test_short_clips_and_a_full_disk_stay_in_memory(monkeypatch):
    room = ClipRoom()
    assert room.frames(4, (8,), torch.empty(0)).shape == (4, 8)
    assert not room._files
    monkeypatch.setattr(clip_room, "_mapped_file", lambda size: None)
    frames = ClipRoom(0).frames(4, (8,), torch.empty(0, dtype=torch.bfloat16))
    assert (frames.shape, frames.dtype) == ((4, 8), torch.bfloat16)


@IN_FILES
def test_no_file_where_there_is_no_room_on_the_disk(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(clip_room.os, "posix_fallocate", full)
    assert clip_room._mapped_file(1 << 20) is None
