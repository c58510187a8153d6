"""Retargeting: exact answers where they are known, invariants everywhere, nothing raises on gaps."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animate_anyone_core.errors import PoseError, SettingsError
from animate_anyone_core.lab.benchmarks.retarget_cases import CLIPS, make_retarget_case
from animate_anyone_core.pose.bones import BODY_TREE, add_mid_hip
from animate_anyone_core.pose.retarget import retarget_poses
from animate_anyone_core.pose.retarget_settings import RetargetSettings, parse_multipliers
from animate_anyone_core.pose.skeleton import (
    ANKLES,
    BODY,
    FEET,
    HIPS,
    KNEES,
    NECK,
    NUM_KEYPOINTS,
    WRISTS,
    PoseSequence,
)

clips = st.sampled_from(sorted(CLIPS))
bodies = st.sampled_from(["adult", "lanky", "chibi", "child", "broad"])
seeds = st.integers(0, 10_000)
LEGS_AND_FEET = [*KNEES, *ANKLES, *range(FEET.start, FEET.stop)]
few = settings(max_examples=8, deadline=None)

FACE_MIRROR = [
    *range(16, -1, -1),
    *range(26, 16, -1),
    *range(27, 31),
    *range(35, 30, -1),
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),
    *(64, 63, 62, 61, 60, 67, 66, 65),
]
MIRROR = np.array(
    [0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16]
    + [21, 22, 23, 18, 19, 20]
    + [24 + i for i in FACE_MIRROR]
    + list(range(113, 134))
    + list(range(92, 113))
)


def mirrored(poses):
    points = poses.points[:, :, MIRROR].copy()
    points[..., 0] = poses.width - points[..., 0]
    return replace(poses, points=points, scores=poses.scores[:, :, MIRROR])


def moved(poses, factor=1.0, shift=(0.0, 0.0)):
    return replace(poses, points=factor * poses.points + np.array(shift))


def assert_same_poses(a, b, atol=1e-6):
    np.testing.assert_array_equal(a.scores > 0, b.scores > 0)
    np.testing.assert_allclose(a.points, b.points, atol=atol)


def with_holes(poses, seed, share=0.15, unsure=True):
    """Hide some joints for some time, and let others be unsure."""
    generator = np.random.default_rng(seed)
    scores = poses.scores.copy()
    for _ in range(int(share * 40)):
        joint = generator.integers(0, NUM_KEYPOINTS if generator.random() < 0.3 else 24)
        start = generator.integers(0, poses.num_frames)
        scores[start : start + generator.integers(1, 8), :, joint] = 0.0
    if unsure:
        scores = np.where(generator.random(scores.shape) < 0.05, 0.2, scores)
    return replace(poses, scores=scores)


class TestExactAnswers:
    @few
    @given(clips, st.floats(0, 1), seeds, st.sampled_from(["contact", "scaled", "original"]))
    def test_the_driver_as_its_own_reference_is_left_as_it_is(self, clip, depth, seed, root):
        driver = make_retarget_case(clip, "adult", depth, 20, seed).driver
        result = retarget_poses(driver, driver.at([0]), RetargetSettings(root_mode=root))
        assert_same_poses(result.poses, driver)

    @few
    @given(clips, seeds, st.integers(0, 19))
    def test_any_frame_of_the_driver_may_be_the_reference(self, clip, seed, frame):
        driver = make_retarget_case(clip, "adult", 1.0, 20, seed).driver
        setting = RetargetSettings(align_frame=frame)
        assert_same_poses(retarget_poses(driver, driver.at([frame]), setting).poses, driver)

    @few
    @given(clips, bodies, seeds)
    def test_bone_angles_are_the_drivers_exactly(self, clip, body, seed):
        case = make_retarget_case(clip, body, 1.0, 12, seed)
        result = retarget_poses(case.driver, case.reference).poses
        seen = np.ones((12, NUM_KEYPOINTS), dtype=bool)
        (old, _), (new, _) = (add_mid_hip(p.points[:, 0], seen) for p in (case.driver, result))
        for joint, parent, _ in BODY_TREE:
            a, b = (x[:, joint] - x[:, parent] for x in (old, new))
            cross = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
            dot = (a * b).sum(axis=-1)
            assert np.abs(np.arctan2(cross, dot)).max() < 1e-9

    def test_the_pose_of_the_reference_in_the_clip_gives_the_exact_answer(self):
        case = make_retarget_case("dance", "chibi", 1.0, 60, seed=2)
        result = retarget_poses(case.driver, case.exact.at([0]))
        apart = (result.poses.points - case.exact.points)[:, 0, BODY]
        assert np.linalg.norm(apart, axis=-1).max() / case.body_height < 0.02

    @pytest.mark.parametrize(
        ("body", "limb_bar", "place_bar"),
        [("adult", 0.02, 0.01), ("lanky", 0.07, 0.03), ("chibi", 0.07, 0.03)],
    )
    def test_errors_stay_below_the_bars(self, body, limb_bar, place_bar):
        """The benchmark in small: 8 clips of 60 frames, foreshortened, another pose."""
        place, limb = [], []
        for clip in CLIPS:
            case = make_retarget_case(clip, body, 1.0, 60, seed=77)
            result = retarget_poses(case.driver, case.reference)
            apart = (result.poses.points - case.exact.points)[:, 0, BODY]
            place.append(np.linalg.norm(apart, axis=-1).mean() / case.body_height)
            ratios = result.ratios.ratios
            limb.append(
                np.mean([abs(ratios[g] / case.ratios[g] - 1) for g in ("thigh", "forearm")])
            )
        assert np.mean(place) < place_bar
        assert np.mean(limb) < limb_bar


class TestEquivariance:
    @few
    @given(clips, bodies, seeds, st.floats(-500, 500), st.floats(-500, 500))
    def test_where_the_driver_stands_does_not_matter(self, clip, body, seed, x, y):
        case = make_retarget_case(clip, body, 1.0, 16, seed)
        a = retarget_poses(case.driver, case.reference).poses
        b = retarget_poses(moved(case.driver, shift=(x, y)), case.reference).poses
        assert_same_poses(a, b)

    @few
    @given(clips, bodies, seeds, st.floats(-500, 500), st.floats(-500, 500))
    def test_the_result_follows_the_reference(self, clip, body, seed, x, y):
        case = make_retarget_case(clip, body, 1.0, 16, seed)
        a = retarget_poses(case.driver, case.reference).poses
        b = retarget_poses(case.driver, moved(case.reference, shift=(x, y))).poses
        assert_same_poses(moved(a, shift=(x, y)), b)

    @few
    @given(clips, bodies, seeds, st.floats(0.2, 5.0))
    def test_the_size_of_the_driver_does_not_matter(self, clip, body, seed, factor):
        case = make_retarget_case(clip, body, 1.0, 16, seed)
        a = retarget_poses(case.driver, case.reference).poses
        b = retarget_poses(moved(case.driver, factor), case.reference).poses
        assert_same_poses(a, b, atol=1e-4)

    @few
    @given(clips, bodies, seeds, st.floats(0.2, 5.0))
    def test_the_result_has_the_size_of_the_reference(self, clip, body, seed, factor):
        case = make_retarget_case(clip, body, 1.0, 16, seed)
        a = retarget_poses(case.driver, case.reference).poses
        b = retarget_poses(case.driver, moved(case.reference, factor)).poses
        assert_same_poses(moved(a, factor), b, atol=1e-4 * max(1, factor))

    @few
    @given(clips, bodies, seeds, st.booleans())
    def test_a_mirrored_world_gives_the_mirrored_result(self, clip, body, seed, holes):
        case = make_retarget_case(clip, body, 1.0, 16, seed)
        driver = with_holes(case.driver, seed) if holes else case.driver
        a = retarget_poses(driver, case.reference).poses
        b = retarget_poses(mirrored(driver), mirrored(case.reference)).poses
        assert_same_poses(mirrored(a), b)

    def test_the_mirror_table_is_its_own_inverse(self):
        np.testing.assert_array_equal(MIRROR[MIRROR], np.arange(NUM_KEYPOINTS))

    @few
    @given(clips, seeds, st.integers(0, 2))
    def test_one_of_several_people_is_retargeted_as_if_alone(self, clip, seed, person):
        case = make_retarget_case(clip, "lanky", 1.0, 12, seed)
        others = [make_retarget_case("jump", "adult", 1.0, 12, seed + i).driver for i in (1, 2)]
        people = [*others[:person], case.driver, *others[person:]]
        crowd = replace(
            case.driver,
            points=np.concatenate([p.points for p in people], axis=1),
            scores=np.concatenate([p.scores for p in people], axis=1),
        )
        alone = retarget_poses(case.driver, case.reference).poses
        picked = retarget_poses(crowd, case.reference, RetargetSettings(person=person)).poses
        np.testing.assert_array_equal(picked.points, alone.points)


class TestMissing:
    @few
    @given(clips, bodies, seeds)
    def test_hidden_nan_and_minus_one_joints_never_leak(self, clip, body, seed):
        case = make_retarget_case(clip, body, 1.0, 20, seed)
        holes = with_holes(case.driver, seed)
        hidden = holes.scores < 0.3
        reference = with_holes(case.reference, seed + 1, share=0.05)
        results = []
        for filler in (0.0, -1.0, 1e4):
            driver = replace(holes, points=np.where(hidden[..., None], filler, holes.points))
            results.append(retarget_poses(driver, reference).poses)
        broken = np.where((hidden & (seed % 2 == 0))[..., None], np.nan, holes.points)
        results.append(retarget_poses(replace(holes, points=broken), reference).poses)
        for result in results:
            assert (result.scores[hidden] == 0).all()
            assert (result.points[hidden] == 0).all()
            assert np.isfinite(result.points).all()
            np.testing.assert_array_equal(result.points, results[0].points)

    @few
    @given(seeds)
    def test_hidden_joints_of_the_reference_never_leak(self, seed):
        case = make_retarget_case("dance", "lanky", 1.0, 12, seed)
        holes = with_holes(case.reference, seed, share=0.1)
        a, b = (
            replace(holes, points=np.where((holes.scores < 0.3)[..., None], f, holes.points))
            for f in (-1.0, 1e5)
        )
        np.testing.assert_array_equal(
            retarget_poses(case.driver, a).poses.points, retarget_poses(case.driver, b).poses.points
        )

    def test_a_gap_of_one_joint_does_not_delete_it_elsewhere(self):
        case = make_retarget_case("dance", "lanky", 1.0, 30)
        scores = case.driver.scores.copy()
        scores[0, 0, WRISTS[0]] = 0.0  # the wrist is missing in the aligned frame
        result = retarget_poses(replace(case.driver, scores=scores), case.reference).poses
        full = retarget_poses(case.driver, case.reference).poses
        assert result.scores[0, 0, WRISTS[0]] == 0
        assert (result.scores[1:, 0, WRISTS[0]] > 0).all()
        apart = np.linalg.norm(result.points[1:] - full.points[1:], axis=-1).max()
        assert apart < 0.01 * case.body_height

    def test_frames_without_a_person_stay_empty_and_are_named(self):
        case = make_retarget_case("walk", "chibi", 1.0, 30)
        scores = case.driver.scores.copy()
        scores[[0, 1, 10, 11, 12, 29]] = 0.0
        result = retarget_poses(replace(case.driver, scores=scores), case.reference)
        empty = ~(result.poses.scores > 0).any(axis=(1, 2))
        assert np.flatnonzero(empty).tolist() == [0, 1, 10, 11, 12, 29]
        assert result.notes[0] == (
            "No person in the driver's frames 0-1, 10-12, 29: they stay empty."
        )

    def test_an_empty_driver_gives_empty_poses(self):
        case = make_retarget_case("walk", "chibi", 1.0, 5)
        for persons in (0, 1):
            shape = (5, persons, NUM_KEYPOINTS)
            nobody = PoseSequence(np.zeros((*shape, 2)), np.zeros(shape), 720, 1280)
            result = retarget_poses(nobody, case.reference)
            assert result.poses.points.shape == (5, 1, NUM_KEYPOINTS, 2)
            assert not result.poses.scores.any()
            assert "frames 0-4" in result.notes[0]
            assert result.ratios is None
            assert "No ratios" in result.to_text()

    def test_a_clip_without_frames_stays_without_frames(self):
        case = make_retarget_case("walk", "chibi", 1.0, 5)
        none = case.driver.at([])
        assert retarget_poses(none, case.reference).poses.num_frames == 0

    def test_an_empty_reference_only_fits_the_driver_to_the_canvas(self):
        case = make_retarget_case("squat", "chibi", 1.0, 5)
        nobody = replace(case.reference, scores=np.zeros_like(case.reference.scores))
        result = retarget_poses(case.driver, nobody)
        assert "No person in the reference." in result.notes
        scale = 1024 / 1280
        centred = scale * case.driver.points + np.array([(768 - scale * 720) / 2, 0])
        np.testing.assert_allclose(result.poses.points, centred)

    def test_a_character_that_is_unsure_all_over_is_measured_all_the_same(self):
        """Detectors trained on photographs give drawn characters low scores."""
        case = make_retarget_case("wave", "lanky", 1.0, 20, seed=4)
        unsure = replace(case.reference, scores=0.4 * case.reference.scores)
        result = retarget_poses(case.driver, unsure)
        sure = retarget_poses(case.driver, case.reference)
        np.testing.assert_array_equal(result.poses.points, sure.poses.points)
        note = "Most joints of the reference are unsure, so unsure ones were measured too."
        assert note in result.notes
        assert note not in sure.notes

    def test_a_half_body_reference_still_gets_legs_of_its_size(self):
        case = make_retarget_case("wave", "adult", 1.0, 30, seed=4)
        scores = case.reference.scores.copy()
        scores[..., LEGS_AND_FEET] = 0.0
        half = replace(case.reference, scores=scores)
        result = retarget_poses(case.driver, half)
        assert (result.poses.scores[..., ANKLES] > 0).all()
        assert result.ratios.ratios["shin"] == pytest.approx(case.ratios["shin"], rel=0.05)
        np.testing.assert_allclose(result.poses.points[0, 0, NECK], half.points[0, 0, NECK])
        hidden = retarget_poses(case.driver, half, RetargetSettings(hide_missing=True)).poses
        assert (hidden.scores[..., LEGS_AND_FEET] == 0).all()
        assert (np.delete(hidden.scores, LEGS_AND_FEET, axis=-1) > 0).all()

    def test_a_half_body_driver_moves_a_full_body_reference(self):
        case = make_retarget_case("wave", "lanky", 1.0, 30, seed=4)
        scores = case.driver.scores.copy()
        scores[..., [*HIPS, *LEGS_AND_FEET]] = 0.0
        result = retarget_poses(replace(case.driver, scores=scores), case.reference)
        assert (result.poses.scores[..., [*HIPS, *KNEES, *ANKLES]] == 0).all()
        arm = result.ratios.ratios["upper_arm"]
        assert arm == pytest.approx(case.ratios["upper_arm"], rel=0.15)
        neck = result.poses.points[0, 0, NECK]
        np.testing.assert_allclose(neck, case.reference.points[0, 0, NECK])


class TestChoices:
    case = make_retarget_case("dance", "chibi", 1.0, 30, seed=8)

    def run(self, **choices):
        return retarget_poses(self.case.driver, self.case.reference, RetargetSettings(**choices))

    def test_strength_zero_is_the_drivers_body_in_another_size(self):
        result = self.run(strength=0.0)
        scale = result.ratios.body_scale
        assert set(result.ratios.ratios.values()) == {scale}
        old, new = self.case.driver.points[:, 0], result.poses.points[:, 0]
        np.testing.assert_allclose(new - new[:, 1:2], scale * (old - old[:, 1:2]), atol=1e-8)

    def test_strength_blends_logarithms(self):
        none, half, full = (self.run(strength=s).ratios.ratios for s in (0.0, 0.5, 1.0))
        for group, ratio in half.items():
            assert ratio == pytest.approx(np.sqrt(none[group] * full[group]))

    def test_manual_starts_from_the_size_of_the_body(self):
        manual = self.run(ratio_mode="manual", multipliers={"head": 2.0, "thigh": 0.5})
        scale = manual.ratios.body_scale
        assert manual.ratios.ratios["head"] == pytest.approx(2 * scale)
        assert manual.ratios.ratios["face"] == pytest.approx(2 * scale)
        assert manual.ratios.ratios["thigh"] == pytest.approx(scale / 2)
        assert manual.ratios.ratios["torso"] == pytest.approx(scale)
        assert "x 2" in manual.to_text()

    @pytest.mark.parametrize("mode", ["auto", "frame"])
    def test_multipliers_come_on_top_of_every_mode(self, mode):
        plain = self.run(ratio_mode=mode).ratios.ratios
        more = self.run(ratio_mode=mode, multipliers={"forearm": 1.25, "foot": 2.0})
        assert more.ratios.ratios["forearm"] == pytest.approx(1.25 * plain["forearm"])
        assert more.ratios.ratios["foot"] == pytest.approx(2 * plain["shin"])
        assert more.ratios.ratios["thigh"] == pytest.approx(plain["thigh"])

    def test_offset_moves_and_scale_grows_about_the_standing_place(self):
        plain = self.run().poses.points
        np.testing.assert_allclose(
            self.run(offset_x=30, offset_y=-12).poses.points, plain + np.array([30, -12])
        )
        larger = self.run(scale=1.5).poses.points
        ground = plain[:, 0, ANKLES, 1].max()
        assert larger[:, 0, ANKLES, 1].max() == pytest.approx(ground)
        np.testing.assert_allclose(larger[0, 0, NECK, 0], plain[0, 0, NECK, 0])
        np.testing.assert_allclose(np.diff(larger, axis=0), 1.5 * np.diff(plain, axis=0), atol=1e-9)

    def test_fit_inside_keeps_the_body_on_the_canvas_and_says_so(self):
        outside = self.run(offset_x=500, scale=2.4)
        assert any("leave the canvas in frames" in note for note in outside.notes)
        inside = self.run(offset_x=500, scale=2.4, fit_inside=True)
        body = inside.poses.points[:, 0, BODY]
        assert body.min() >= 0
        assert body[..., 0].max() <= 768
        assert body[..., 1].max() <= 1024
        assert any(note.startswith("Shrunk by x") for note in inside.notes)

    def test_fit_inside_leaves_a_clip_that_fits_alone(self):
        fitting = self.run(scale=0.8)
        again = self.run(scale=0.8, fit_inside=True)
        np.testing.assert_array_equal(fitting.poses.points, again.poses.points)

    def test_frame_mode_names_its_frame(self):
        assert "Ratios of frame 7" in self.run(ratio_mode="frame", align_frame=7).to_text()

    def test_the_largest_person_of_the_reference_is_taken(self):
        small = moved(self.case.reference, 0.3)
        both = replace(
            small,
            points=np.concatenate([small.points, self.case.reference.points], axis=1),
            scores=np.concatenate([small.scores, self.case.reference.scores], axis=1),
        )
        result = retarget_poses(self.case.driver, both)
        np.testing.assert_array_equal(result.poses.points, self.run().poses.points)


class TestZoom:
    def zoomed(self, case, amount=0.6):
        factors = np.exp(amount * np.linspace(0, 1, case.driver.num_frames))[:, None, None, None]
        centre = np.array([360.0, 640.0])
        points = centre + factors * (case.driver.points - centre)
        return replace(case.driver, points=points), factors[:, 0, 0, 0]

    def test_a_camera_that_zooms_does_not_change_the_ratios(self):
        case = make_retarget_case("dance", "lanky", 1.0, 120, seed=1)
        driver, _ = self.zoomed(case)
        plain = retarget_poses(case.driver, case.reference).ratios.ratios
        found = retarget_poses(driver, case.reference)
        assert any("Camera zoom" in note for note in found.notes)
        with_zoom = [abs(np.log(found.ratios.ratios[g] / plain[g])) for g in plain]
        ignored = retarget_poses(driver, case.reference, RetargetSettings(zoom_mode="ignore"))
        without = [abs(np.log(ignored.ratios.ratios[g] / plain[g])) for g in plain]
        assert np.mean(with_zoom) < 0.06
        assert np.mean(without) > 0.2

    def test_removing_the_zoom_keeps_the_characters_size(self):
        case = make_retarget_case("wave", "adult", 0.0, 90, seed=1)
        driver, _ = self.zoomed(case)
        sizes = {}
        for mode in ("keep", "remove"):
            result = retarget_poses(driver, case.reference, RetargetSettings(zoom_mode=mode))
            torso = result.poses.points[:, 0, NECK] - result.poses.points[:, 0, HIPS].mean(axis=1)
            sizes[mode] = np.linalg.norm(torso, axis=-1)
        assert sizes["keep"][-1] / sizes["keep"][0] == pytest.approx(np.exp(0.6), rel=0.05)
        assert sizes["remove"][-1] / sizes["remove"][0] == pytest.approx(1.0, rel=0.06)

    @few
    @given(clips, seeds)
    def test_articulated_motion_is_no_zoom(self, clip, seed):
        case = make_retarget_case(clip, "adult", 1.0, 120, seed)
        assert not any("zoom" in n for n in retarget_poses(case.driver, case.reference).notes)


class TestErrors:
    case = make_retarget_case("wave", "adult", 0.0, 3)

    def message(self, **choices):
        with pytest.raises(SettingsError) as error:
            retarget_poses(self.case.driver, self.case.reference, RetargetSettings(**choices))
        return str(error.value)

    def test_unknown_modes_list_the_known_ones(self):
        assert self.message(ratio_mode="magic") == (
            "ratio_mode must be one of auto, frame, manual, got 'magic'."
        )
        assert self.message(root_mode="x").startswith("root_mode must be one of contact, scaled")
        assert self.message(zoom_mode="x").startswith("zoom_mode must be one of keep, remove")

    def test_numbers_out_of_range(self):
        assert self.message(strength=1.5) == "strength must be from 0 to 1, got 1.5."
        assert self.message(scale=0.0) == ("scale must be larger than 0 and at most 100, got 0.0.")
        assert self.message(multipliers={"thigh": -1.0}) == (
            "The multiplier of thigh must be larger than 0 and at most 100, got -1.0."
        )

    def test_unknown_groups_list_the_known_ones(self):
        assert self.message(multipliers={"tail": 1.0}) == (
            "There is no bone group 'tail'; groups are torso, shoulders, hips, neck, head, "
            "upper_arm, forearm, hand, thigh, shin, foot, face."
        )

    def test_people_and_frames_that_do_not_exist(self):
        assert self.message(person=2) == (
            "The driver has 1 person(s), numbered from 0; got person 2."
        )
        assert self.message(align_frame=3) == (
            "align_frame must be one of the driver's frames 0 to 2, got 3."
        )

    def test_a_reference_without_a_frame(self):
        none = self.case.reference.at([])
        with pytest.raises(PoseError, match="The reference needs one frame of poses, got none"):
            retarget_poses(self.case.driver, none)


class TestParsedMultipliers:
    def test_groups_and_numbers_are_read_from_one_line_or_several(self):
        text = "head=1.1, thigh = 0.9\nshin=2,"
        assert parse_multipliers(text) == {"head": 1.1, "thigh": 0.9, "shin": 2.0}
        assert parse_multipliers(" \n") == {}

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("head", "Multipliers are written as group=factor, such as head=1.1, got 'head'."),
            (
                "head=big",
                "Multipliers are written as group=factor, such as head=1.1, got 'head=big'.",
            ),
            ("head=1, head=2", "The multiplier of head is given twice."),
        ],
    )
    def test_anything_else_is_explained(self, text, message):
        with pytest.raises(SettingsError) as error:
            parse_multipliers(text)
        assert str(error.value) == message
