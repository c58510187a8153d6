"""Frames that are read when they are needed: as often as asked, few at a time."""

import gc
import weakref

import numpy as np
import pytest
import torch

from animate_anyone_core.errors import MediaError
from animate_anyone_core.frames import ChangedFrames, FirstFrames, frame_size, some_at_once
from animate_anyone_core.replacement.figure import cut_figure
from animate_anyone_core.replacement.person_boxes import PersonBoxes
from animate_anyone_core.replacement.region import Region
from animate_anyone_core.replacement.scene import Scene, encode_scene, keep_pixels
from animate_anyone_core.sampling.clip_room import ClipRoom

HEIGHT, WIDTH = 40, 48


class Frame(np.ndarray):
    """A picture that can be watched."""


class Watched:
    """A clip that knows how many of its frames were held at once."""

    def __init__(self, count):
        self.count, self.most = count, 0

    def __len__(self):
        return self.count

    def __iter__(self):
        held = weakref.WeakSet()
        for number in range(self.count):
            frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8).view(Frame)
            frame[8:30, 10 : 20 + number % 8] = 90 + number % 100
            frame.flags.writeable = False
            held.add(Key(frame))
            yield frame
            gc.collect(0)
            self.most = max(self.most, len(held))


class Key:
    """Lives as long as a frame: arrays themselves have no hash."""

    def __init__(self, frame):
        frame.key = self


def test_the_first_frames_are_read_again_and_again():
    frames = np.arange(7 * 12, dtype=np.uint8).reshape(7, 2, 2, 3)
    first = FirstFrames(frames, 5, "clip.mp4")
    changed = ChangedFrames(first, lambda frame: frame[:1] + 1)
    for _ in range(2):
        assert np.array_equal(np.stack(list(first)), frames[:5])
        assert np.array_equal(np.stack(list(changed)), frames[:5, :1] + 1)
    assert len(first) == len(changed) == 5
    assert frame_size(changed) == (2, 1)
    assert [len(some) for some in some_at_once(first, 2)] == [2, 2, 1]


def test_too_few_are_told_at_the_end_with_what_is_there():
    short = FirstFrames(np.zeros((3, 2, 2, 3), np.uint8), 5, "clip.mp4")
    with pytest.raises(MediaError, match=r"clip\.mp4 ends after 3 frames, but 5 .*--max-frames 3"):
        list(short)


def test_a_long_video_around_the_character_is_never_held(vae):
    """Cut, encoded, pasted: of 60 frames, never more than a few are in memory, and no latents."""
    clip = Watched(60)
    boxes = np.tile([10, 8, 20, 30], (60, 1))
    region = Region((4, 4, 44, 36), (WIDTH, HEIGHT))
    person = region.cut_person(PersonBoxes(boxes, region.size))
    scene = Scene(target=ChangedFrames(clip, region.cut_frame), masks=person)
    room = ClipRoom(0)
    extra = encode_scene(vae, ("target", "mask"), scene, 60, 40, 32, room)
    assert extra.shape == (1, 5, 60, 4, 5)
    assert torch.isfinite(extra).all()
    made = (np.full((32, 40, 3), 9, np.uint8) for _ in range(60))
    assert sum(1 for _ in keep_pixels(scene, made, (40, 32))) == 60
    assert 0 < clip.most <= 8


def test_a_long_figure_is_never_held():
    clip, behind = Watched(60), Watched(60)
    cut = cut_figure(clip, in_pieces=True)
    squares = cut.pose_squares(clip, 32, 32)
    assert sum(1 for _ in squares) == len(squares) == cut.num_frames
    made = (np.full((32, 32, 3), 9, np.uint8) for _ in range(cut.num_frames))
    assert sum(1 for _ in cut.pasted(made, behind)) == 60
    assert 0 < max(clip.most, behind.most) <= 8
