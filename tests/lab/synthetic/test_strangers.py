"""Pictures of no drawn dancer: always the same ones, with detail that drawings do not have."""

import numpy as np
import pytest

from animate_anyone_core.errors import SettingsError
from animate_anyone_core.lab.synthetic.dancers import render_clip
from animate_anyone_core.lab.synthetic.photographs import clouds, develop, make_scene
from animate_anyone_core.lab.synthetic.strangers import make_stranger


def test_a_seed_gives_the_same_picture_and_others_give_others():
    frames = [make_stranger(seed, 64, 96).frame for seed in (3, 3, 4)]
    assert frames[0].shape == (96, 64, 3)
    assert frames[0].dtype == np.uint8
    assert (frames[0] == frames[1]).all()
    assert (frames[0] != frames[2]).mean() > 0.5


def test_boxes_lie_in_the_picture():
    for seed in range(30):
        left, top, right, bottom = make_stranger(seed, 64, 48).box
        assert 0 <= left < right <= 64
        assert 0 <= top < bottom <= 48


def test_detail_is_finer_than_a_drawings():
    """Half of a drawing's pixels are like their neighbors to a step; a photograph's are not."""

    def plain(frame):
        return (np.abs(np.diff(frame.astype(int), axis=1)).max(axis=-1) <= 1).mean()

    drawn = [plain(render_clip(seed, seed, 1, 128, 128).frames[0]) for seed in range(8)]
    taken = [plain(make_stranger(seed, 128, 128).frame) for seed in range(24)]
    assert np.median(drawn) > 2 * np.median(taken)


def test_clouds_have_the_deviation_that_is_said():
    values = clouds(np.random.default_rng(0), 96, 128, 0.8)
    assert values.shape == (128, 96)
    assert 0.4 < values.std() < 1.6


def test_scenes_and_developing_keep_the_size():
    rng = np.random.default_rng(1)
    for _ in range(12):
        taken = develop(make_scene(rng, 40, 56), rng)
        assert taken.shape == (56, 40, 3)
        assert taken.dtype == np.uint8


def test_a_picture_too_small_to_show_anything_is_refused():
    with pytest.raises(SettingsError) as caught:
        make_stranger(0, 8, 64)
    assert str(caught.value) == "A picture must be at least 16x16 pixels, got 8x64."
