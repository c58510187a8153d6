"""Dancers: the same seeds give the same bytes, joints are exact, splits do not overlap."""

import numpy as np
import pytest

from animate_anyone_core.errors import SettingsError
from animate_anyone_core.pose.skeleton import FACE, LEFT_HAND, RIGHT_HAND
from animate_anyone_core.synthetic.characters import character_from_seed
from animate_anyone_core.synthetic.dancers import Dancer, reference_frame, render_clip
from animate_anyone_core.synthetic.motions import (
    HELD_OUT_KINDS,
    MOTION_KINDS,
    motion_from_seed,
    standing,
)
from animate_anyone_core.synthetic.splits import SPLITS, split_seeds


def test_a_clip_has_pictures_poses_and_masks_of_its_size():
    clip = render_clip(1, 2, 3, 96, 128)
    assert clip.frames.shape == (3, 128, 96, 3)
    assert clip.frames.dtype == np.uint8
    assert clip.masks.shape == (3, 128, 96)
    assert clip.poses.points.shape == (3, 1, 134, 2)
    assert (clip.poses.width, clip.poses.height, clip.poses.fps) == (96, 128, 12.0)


class TestDeterminism:
    def test_the_same_seeds_give_the_same_bytes_in_any_order(self):
        first = Dancer(5, 64, 64).render(motion_from_seed(9), 3)
        render_clip(6, 7, 2, 64, 64)
        np.random.default_rng(0).random(10)
        again = Dancer(5, 64, 64).render(motion_from_seed(9), 3)
        assert first.frames.tobytes() == again.frames.tobytes()
        assert first.masks.tobytes() == again.masks.tobytes()
        assert first.poses.points.tobytes() == again.poses.points.tobytes()

    @pytest.mark.parametrize("motion_seed", range(6))
    def test_a_frame_does_not_depend_on_its_neighbours(self, motion_seed):
        dancer, motion = Dancer(3, 64, 64), motion_from_seed(motion_seed)
        clip = dancer.render(motion, 4, fps=8.0)
        single = dancer.render_moments([(standing(), 0.0), (motion, 3 / 8)])
        assert np.array_equal(clip.frames[3], single.frames[1])
        assert np.allclose(clip.poses.points[3], single.poses.points[1])

    def test_other_seeds_give_other_characters_and_motions(self):
        looks = {reference_frame(seed, 64, 64).frames.tobytes() for seed in range(8)}
        poses = {render_clip(0, seed, 1, 64, 64).poses.points.tobytes() for seed in range(8)}
        assert len(looks) == len(poses) == 8


class TestSplits:
    @pytest.mark.parametrize("kind", ["character", "motion"])
    def test_splits_share_no_seed(self, kind):
        ranges = [split_seeds(split, kind) for split in SPLITS]
        assert all(len(r) > 0 for r in ranges)
        for i, one in enumerate(ranges):
            for other in ranges[i + 1 :]:
                assert one.stop <= other.start or other.stop <= one.start

    def test_kinds_held_out_appear_in_test_only(self):
        kinds = {
            split: {motion_from_seed(s).kind for s in split_seeds(split, "motion")[:200]}
            for split in SPLITS
        }
        assert kinds["test"] == set(MOTION_KINDS)
        assert kinds["train"] == kinds["validation"] == set(MOTION_KINDS) - set(HELD_OUT_KINDS)

    def test_unknown_names_list_the_known_ones(self):
        with pytest.raises(SettingsError, match="Known: train, validation, test"):
            split_seeds("dev", "motion")
        with pytest.raises(SettingsError, match="Known: character, motion"):
            split_seeds("train", "pose")


class TestErrors:
    def test_a_clip_needs_a_frame(self):
        with pytest.raises(SettingsError, match="at least 1 frame, got 0"):
            render_clip(0, 0, 0, 64, 64)

    def test_frames_per_second_are_positive(self):
        with pytest.raises(SettingsError, match="above 0, got 0"):
            render_clip(0, 0, 1, 64, 64, fps=0.0)

    @pytest.mark.parametrize("seed", [-1, 1.5, True])
    def test_seeds_are_whole_numbers_from_zero(self, seed):
        with pytest.raises(SettingsError, match="character seed must be a whole number"):
            character_from_seed(seed)

    def test_pictures_have_a_sensible_size(self):
        with pytest.raises(SettingsError, match=r"height .* 32 to 2048 pixels, got 8"):
            render_clip(0, 0, 1, 64, 8)

    def test_moments_are_not_empty(self):
        with pytest.raises(SettingsError, match="No moments"):
            Dancer(0, 64, 64).render_moments([])


class TestJoints:
    @pytest.mark.parametrize("seed", range(12))
    def test_body_joints_lie_on_the_person(self, seed):
        clip = render_clip(seed, seed, 4, 128, 128)
        points = clip.poses.points[:, 0, :14][clip.poses.scores[:, 0, :14] > 0]
        frame = np.nonzero(clip.poses.scores[:, 0, :14] > 0)[0]
        x, y = np.floor(points).astype(int).T
        assert (clip.masks[frame, y, x] > 200).all()

    @pytest.mark.parametrize("part", [FACE, LEFT_HAND, RIGHT_HAND], ids=["face", "left", "right"])
    def test_face_and_hands_lie_on_the_person(self, part):
        for seed in range(6):
            clip = render_clip(seed, seed, 2, 128, 128)
            seen = clip.poses.scores[:, 0, part] > 0
            x, y = np.floor(clip.poses.points[:, 0, part][seen]).astype(int).T
            on = clip.masks[np.nonzero(seen)[0], y, x] > 60
            assert on.mean() > 0.97

    def test_a_joint_off_the_canvas_has_no_score(self):
        clip = render_clip(0, 4, 8, 32, 96)
        outside = (clip.poses.points < 0).any(-1) | (clip.poses.points[..., 0] >= 32)
        assert (clip.poses.scores[outside] == 0).all()

    @pytest.mark.parametrize("seed", range(10))
    def test_the_person_fills_the_height(self, seed):
        rows = np.nonzero(reference_frame(seed, 128, 128).masks[0].max(axis=1) > 128)[0]
        assert 0.68 * 128 <= np.ptp(rows) + 1 <= 0.95 * 128
        assert rows[0] > 0
        assert rows[-1] < 127


@pytest.mark.parametrize("size", [(33, 47), (101, 64), (64, 150), (211, 203)])
def test_odd_sizes_work(size):
    width, height = size
    clip = render_clip(2, 2, 1, width, height)
    assert clip.frames.shape == (1, height, width, 3)
    assert clip.masks.max() == 255
    assert clip.masks.min() == 0


def test_the_reference_shares_the_background_of_the_clip():
    clip, reference = render_clip(7, 3, 2, 96, 96), reference_frame(7, 96, 96)
    top = np.s_[:6, :12]
    assert clip.masks[0][top].max() == reference.masks[0][top].max() == 0
    assert np.array_equal(clip.frames[0][top], reference.frames[0][top])
