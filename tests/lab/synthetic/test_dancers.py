"""Dancers: the same seeds give the same bytes, joints are exact, splits do not overlap."""

import time
from collections.abc import Callable

import numpy as np
import pytest

from animate_anyone_core.errors import SettingsError
from animate_anyone_core.lab.synthetic.characters import character_from_seed
from animate_anyone_core.lab.synthetic.dancers import Dancer, reference_frame, render_clip
from animate_anyone_core.lab.synthetic.motions import (
    HELD_OUT_KINDS,
    MOTION_KINDS,
    motion_from_seed,
    standing,
)
from animate_anyone_core.lab.synthetic.rig import Track
from animate_anyone_core.lab.synthetic.splits import SPLITS, split_seeds
from animate_anyone_core.pose.skeleton import (
    ELBOWS,
    EYES,
    FACE,
    HIPS,
    LEFT_HAND,
    NECK,
    NOSE,
    RIGHT_HAND,
    WRISTS,
)


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


def hold(**channels: float) -> Track:
    """One frame that holds these channels still."""
    return Track(1, {name: np.array([value]) for name, value in channels.items()})


def changed(one: np.ndarray, other: np.ndarray) -> int:
    return int((np.abs(one.astype(int) - other.astype(int)).max(axis=-1) > 8).sum())


class TestWhatIsInFront:
    """Seed 10 is of a broad build with long sleeves, so a hanging far arm is hidden in profile."""

    @pytest.mark.parametrize(
        ("heading", "near", "far"), [(1.57, "right", "left"), (-1.57, "left", "right")]
    )
    def test_in_profile_the_far_arm_is_behind_the_trunk(self, heading, near, far):
        dancer = Dancer(10, 128, 128)

        def picture(side: str, raised: float) -> np.ndarray:
            arms = {f"{s}_arm_forward": 0.05 for s in ("left", "right")}
            arms |= {f"{s}_elbow": 0.1 for s in ("left", "right")}
            return dancer.render_track(
                hold(heading=heading, **(arms | {f"{side}_arm_forward": raised}))
            ).frames[0]

        clip = dancer.render_track(hold(heading=heading))
        waist = int(0.5 * (clip.poses.points[0, 0, NECK, 1] + clip.poses.points[0, 0, HIPS[0], 1]))
        rest = picture(near, 0.05)
        # Above the waist a small swing of the far arm stays hidden, that of the near arm does not.
        hidden = changed(rest[:waist], picture(far, 0.12)[:waist])
        shown = changed(rest[:waist], picture(near, 0.12)[:waist])
        assert hidden == 0
        assert shown > 5

    def test_a_hand_before_the_chest_covers_the_shirt_only_from_the_front(self):
        dancer = Dancer(10, 128, 128)
        crossed = {"left_arm_forward": 0.6, "left_arm_twist": -0.9, "left_elbow": 1.6}

        def wrist_pixel(heading: float) -> tuple[np.ndarray, np.ndarray]:
            with_arm = dancer.render_track(hold(heading=heading, **crossed))
            without = dancer.render_track(hold(heading=heading))
            x, y = np.floor(with_arm.poses.points[0, 0, WRISTS[1]]).astype(int)
            return with_arm.frames[0, y, x].astype(int), without.frames[0, y, x].astype(int)

        front, shirt = wrist_pixel(0.0)
        assert np.abs(front - shirt).max() > 20
        back, shirt = wrist_pixel(np.pi)
        assert np.abs(back - shirt).max() <= 2

    def test_a_face_is_seen_from_the_front_only(self):
        dancer = Dancer(4, 128, 128)
        front, back = (dancer.render_track(hold(heading=h)).poses.scores[0, 0] for h in (0, np.pi))
        eyes_and_nose = [NOSE, *EYES]
        assert (front[eyes_and_nose] > 0).all()
        assert (back[eyes_and_nose] == 0).all()
        assert (front[FACE] > 0).all()
        assert (back[FACE] == 0).all()


class TestExactness:
    @pytest.mark.parametrize("seed", [0, 3, 11, 25])
    @pytest.mark.parametrize("size", [(128, 128), (250, 190)])
    def test_a_stretched_arm_lies_around_the_line_between_its_joints(self, seed, size):
        """The mask across a forearm has its centre on the bone, to a fraction of a pixel."""
        arms = {f"{s}_arm_out": 1.5 for s in ("left", "right")}
        arms |= {f"{s}_elbow": 0.0 for s in ("left", "right")}
        clip = Dancer(seed, *size).render_track(hold(**arms))
        for elbow, wrist in zip(ELBOWS, WRISTS, strict=True):
            middle = clip.poses.points[0, 0, [elbow, wrist]].mean(axis=0)
            column = int(middle[0])
            reach = slice(int(middle[1]) - 12, int(middle[1]) + 13)
            weight = clip.masks[0, reach, column].astype(float)
            centre = (weight * (np.arange(reach.start, reach.stop) + 0.5)).sum() / weight.sum()
            assert abs(centre - middle[1]) < 0.4

    @pytest.mark.parametrize("seed", range(8))
    def test_the_pupils_are_where_the_eyes_are(self, seed):
        clip = Dancer(seed, 256, 256).render_track(hold(smile=0.0))
        for eye in EYES:
            x, y = clip.poses.points[0, 0, eye]
            patch = clip.frames[0, int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2]
            assert patch.min() < 110  # the dark of the pupil, not skin or the white of the eye

    def test_clothes_turn_with_the_body(self):
        """A logo on the chest is seen from the front and not from the back."""
        seed = next(
            s
            for s in range(200)
            if character_from_seed(s).outfit.top_cloth.logo in ("disc", "heart", "star")
            and character_from_seed(s).hair_style not in ("long", "bob")
        )
        color = np.array(character_from_seed(seed).outfit.top_cloth.logo_color)
        arms = {"left_arm_out": 1.2, "right_arm_out": 1.2}

        def logo_pixels(heading: float) -> int:
            clip = Dancer(seed, 128, 128).render_track(hold(heading=heading, **arms))
            collar, hip = clip.poses.points[0, 0, [NECK, HIPS[0]]]
            middle = int(0.5 * (collar[0] + clip.poses.points[0, 0, HIPS[1], 0]))
            chest = clip.frames[0, int(collar[1]) : int(hip[1]), middle - 12 : middle + 13]
            return int((np.abs(chest - 0.92 * color).max(axis=-1) < 32).sum())

        assert logo_pixels(0.0) > logo_pixels(np.pi) + 10


def fastest(work: Callable[[], object], tries: int) -> float:
    """Seconds of processor time: other work on the machine must not count."""
    seconds = []
    for _ in range(tries):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def test_a_frame_costs_little_more_than_sorting_its_pixels():
    """Fast enough to feed training: measured against a sort of 384 x 384 numbers, not in seconds."""
    noise = np.random.default_rng(0).random((384, 384))
    dancer, motion = Dancer(0, 128, 128), motion_from_seed(1)
    a_frame = fastest(lambda: dancer.render(motion, 6), tries=6) / 6
    assert a_frame < 20 * fastest(lambda: np.sort(noise, axis=None), tries=5)
