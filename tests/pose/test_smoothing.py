"""Smoothing: outliers go, motion stays, gaps close, and off means off."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animate_anyone_core.errors import SettingsError
from animate_anyone_core.lab.benchmarks.retarget_cases import CLIPS, make_retarget_case
from animate_anyone_core.pose import smoothing
from animate_anyone_core.pose.skeleton import BODY, FEET, NUM_KEYPOINTS, PoseSequence
from animate_anyone_core.pose.smoothing import (
    SmoothingSettings,
    fit_parabolas,
    smooth_poses,
)

NO_SMOOTHING = SmoothingSettings(
    window=1, detail_window=1, max_gap=0, show_score=0.0, hide_score=0.0
)
DETAILS = slice(FEET.stop, None)


def track(points, scores=None):
    """A clip in which only the nose moves, along (F, 2) points."""
    full = np.zeros((len(points), 1, NUM_KEYPOINTS, 2))
    full[:, 0, 0] = points
    all_scores = np.zeros(full.shape[:3])
    all_scores[:, 0, 0] = 1.0 if scores is None else scores
    return PoseSequence(full, all_scores, 720, 1280, 30.0)


def nose(poses):
    return poses.points[:, 0, 0]


def corrupted(clean, seed=0):
    """2 px noise everywhere and 4 % of 40 px outliers that the detector was unsure of."""
    generator = np.random.default_rng(seed)
    shape = clean.scores.shape
    outlier = generator.random(shape) < 0.04
    points = clean.points + generator.normal(0, 2, clean.points.shape)
    points = points + outlier[..., None] * generator.normal(0, 40, clean.points.shape)
    scores = np.where(outlier, generator.uniform(0.1, 0.4, shape), generator.uniform(0.6, 1, shape))
    return replace(clean, points=points, scores=scores)


def body_rms(poses, clean):
    seen = poses.scores[:, :, BODY] > 0
    apart = ((poses.points - clean.points)[:, :, BODY] ** 2).sum(axis=-1)
    return float(np.sqrt(apart[seen].mean()))


class TestNoise:
    def test_noise_with_unsure_outliers_falls_from_12_to_below_2_5_px(self):
        raw, smooth = [], []
        for clip in CLIPS:
            clean = make_retarget_case(clip, "adult", 1.0, 120, seed=3).driver
            noisy = corrupted(clean)
            raw.append(body_rms(noisy, clean))
            smooth.append(body_rms(smooth_poses(noisy)[0], clean))
        assert 10 < np.mean(raw) < 14
        assert np.mean(smooth) < 2.5

    def test_fast_motion_is_not_flattened(self):
        """An arm waving twice a second and a jump: what smoothing itself does to a clean track."""
        bars = {"wave": 0.5, "dance": 1.2, "walk": 1.2, "jump": 3.0}
        for clip, bar in bars.items():
            clean = make_retarget_case(clip, "adult", 1.0, 120, seed=3).driver
            assert body_rms(smooth_poses(clean)[0], clean) < bar

    def test_a_full_swing_keeps_its_reach(self):
        frames = np.arange(60)
        swing = 100 * np.sin(2 * np.pi * frames / 15)  # two swings a second at 30 frames
        smooth = nose(smooth_poses(track(np.stack([300 + swing, 0 * swing + 500], -1)))[0])
        assert np.ptp(smooth[:, 0]) > 0.97 * np.ptp(swing)

    def test_a_straight_way_at_constant_speed_is_kept(self):
        way = np.stack([100 + 7.0 * np.arange(20), 500 - 3.0 * np.arange(20)], axis=-1)
        np.testing.assert_allclose(nose(smooth_poses(track(way))[0]), way, atol=0.05)

    def test_one_unsure_jump_is_put_back(self):
        way = np.stack([100 + 5.0 * np.arange(15), np.full(15, 50.0)], axis=-1)
        jump = way.copy()
        jump[7] += 60
        scores = np.where(np.arange(15) == 7, 0.3, 0.9)
        smooth, report = smooth_poses(track(jump, scores))
        np.testing.assert_allclose(nose(smooth), way, atol=0.1)
        assert report.corrected == 1

    def test_hands_and_face_have_their_own_window(self):
        clean = make_retarget_case("dance", "adult", 1.0, 30).driver
        noisy = corrupted(clean)
        only_body, _ = smooth_poses(noisy, replace(NO_SMOOTHING, window=7))
        np.testing.assert_array_equal(only_body.points[:, :, DETAILS], noisy.points[:, :, DETAILS])
        assert np.abs(only_body.points - noisy.points)[:, :, : FEET.stop].max() > 1
        only_detail, _ = smooth_poses(noisy, replace(NO_SMOOTHING, detail_window=5))
        np.testing.assert_array_equal(
            only_detail.points[:, :, : FEET.stop], noisy.points[:, :, : FEET.stop]
        )

    def test_where_everything_is_unsure_the_fit_stays_near_the_points(self):
        generator = np.random.default_rng(1)
        way = np.stack([100 + 5.0 * np.arange(30), np.full(30, 50.0)], axis=-1)
        noisy = way + generator.normal(0, 2, way.shape)
        smooth, _ = smooth_poses(track(noisy, 0.4))
        assert np.abs(nose(smooth) - way).max() < 6

    def test_two_sure_points_among_unsure_ones_are_not_bent_by_them(self):
        way = np.stack([np.zeros(9), np.zeros(9)], axis=-1) + 100
        way[[2, 3, 6]] += 500
        scores = np.full(9, 0.3)
        scores[[4, 5]] = 0.9
        smooth, _ = smooth_poses(track(way, scores))
        np.testing.assert_allclose(nose(smooth)[4:6], 100, atol=1.0)


class TestOff:
    def test_off_is_the_identity(self):
        noisy = corrupted(make_retarget_case("kick", "adult", 1.0, 20).driver)
        same, report = smooth_poses(noisy, NO_SMOOTHING)
        np.testing.assert_array_equal(same.points, noisy.points)
        np.testing.assert_array_equal(same.scores, noisy.scores)
        assert report.corrected == report.bridged == report.hidden == 0
        assert report.mean_shift == 0

    @settings(max_examples=15, deadline=None)
    @given(seed=st.integers(0, 1000), frames=st.integers(0, 6), persons=st.integers(0, 3))
    def test_off_is_the_identity_for_any_clip(self, seed, frames, persons):
        generator = np.random.default_rng(seed)
        shape = (frames, persons, NUM_KEYPOINTS)
        scores = np.where(generator.random(shape) < 0.5, generator.random(shape), 0)
        poses = PoseSequence(generator.normal(0, 300, (*shape, 2)), scores, 64, 48)
        same, _ = smooth_poses(poses, NO_SMOOTHING)
        np.testing.assert_array_equal(same.points, poses.points)
        np.testing.assert_array_equal(same.scores, poses.scores)


class TestVisibility:
    def shown(self, scores, **changes):
        way = np.full((len(scores), 2), 50.0)
        setting = SmoothingSettings(max_gap=0, **changes)
        return (smooth_poses(track(way, scores), setting)[0].scores[:, 0, 0] > 0).tolist()

    def test_a_stretch_is_shown_as_a_whole_if_it_once_is_sure(self):
        assert self.shown([0.3, 0.26, 0.9, 0.26, 0.3]) == [True] * 5

    def test_a_stretch_that_never_is_sure_is_hidden(self):
        assert self.shown([0.3, 0.34, 0.3]) == [False] * 3

    def test_flicker_around_the_drawing_threshold_becomes_steady(self):
        assert self.shown([0.9, 0.29, 0.31, 0.29, 0.31, 0.29, 0.9]) == [True] * 7

    def test_stretches_are_told_apart_by_the_lower_score(self):
        assert self.shown([0.9, 0.2, 0.3, 0.3]) == [True, False, False, False]

    def test_shown_keypoints_pass_a_later_threshold(self):
        smooth, _ = smooth_poses(track(np.full((3, 2), 9.0), [0.9, 0.26, 0.9]))
        assert smooth.scores[1, 0, 0] == 0.35


class TestGaps:
    def gap(self, length, max_gap=8):
        frames = np.arange(40.0)
        way = np.stack([50 + 4 * frames, 200 + 0.1 * (frames - 20) ** 2], axis=-1)
        scores = np.ones(40)
        scores[15 : 15 + length] = 0
        smooth, report = smooth_poses(track(way, scores), SmoothingSettings(max_gap=max_gap))
        return way, smooth, report

    @pytest.mark.parametrize("length", [1, 4, 8])
    def test_short_gaps_are_bridged_along_the_motion(self, length):
        way, smooth, report = self.gap(length)
        np.testing.assert_allclose(nose(smooth), way, atol=0.5)
        assert report.bridged == length
        assert (smooth.scores[:, 0, 0] > 0).all()

    def test_longer_gaps_stay_hidden_and_are_reported(self):
        _, smooth, report = self.gap(9)
        assert (smooth.scores[15:24, 0, 0] == 0).all()
        assert (smooth.points[15:24, 0, 0] == 0).all()
        assert report.bridged == 0
        assert report.gaps_left == 1
        assert report.empty_frames == tuple(range(15, 24))

    def test_the_ends_of_a_clip_are_no_gaps(self):
        scores = np.ones(20)
        scores[:3] = scores[-3:] = 0
        smooth, report = smooth_poses(track(np.full((20, 2), 70.0), scores))
        assert (smooth.scores[[0, 1, 2, 17, 18, 19], 0, 0] == 0).all()
        assert report.bridged == 0


class TestInvariants:
    @settings(max_examples=15, deadline=None)
    @given(
        factor=st.floats(0.1, 10),
        x=st.floats(-1000, 1000),
        y=st.floats(-1000, 1000),
        seed=st.integers(0, 50),
    )
    def test_moving_and_scaling_the_clip_moves_and_scales_the_result(self, factor, x, y, seed):
        poses = corrupted(make_retarget_case("dance", "adult", 1.0, 12, seed).driver, seed)
        shift = np.array([x, y])
        moved = replace(poses, points=factor * poses.points + shift)
        a, _ = smooth_poses(poses)
        b, _ = smooth_poses(moved)
        seen = a.scores > 0
        np.testing.assert_array_equal(seen, b.scores > 0)
        np.testing.assert_allclose(
            b.points[seen], (factor * a.points + shift)[seen], atol=1e-6 * (1 + factor)
        )

    def test_time_backwards_gives_the_result_backwards(self):
        poses = corrupted(make_retarget_case("walk", "adult", 1.0, 40).driver)
        a, _ = smooth_poses(poses)
        reverse = replace(poses, points=poses.points[::-1], scores=poses.scores[::-1])
        b, _ = smooth_poses(reverse)
        np.testing.assert_allclose(a.points[::-1], b.points, atol=1e-8)

    def test_several_people_at_once_equal_one_by_one(self):
        clips = [
            corrupted(make_retarget_case(c, "adult", 1.0, 20).driver, i)
            for i, c in enumerate(("walk", "kick"))
        ]
        both = replace(
            clips[0],
            points=np.concatenate([c.points for c in clips], axis=1),
            scores=np.concatenate([c.scores for c in clips], axis=1),
        )
        together, _ = smooth_poses(both)
        for person, clip in enumerate(clips):
            alone, _ = smooth_poses(clip)
            np.testing.assert_array_equal(together.points[:, person], alone.points[:, 0])

    def test_hidden_points_never_leak(self):
        way = np.full((11, 2), 100.0)
        way[3:5] = np.nan
        way[7] = -1.0
        scores = np.ones(11)
        scores[7] = 0.0
        smooth, _ = smooth_poses(track(way, scores))
        np.testing.assert_allclose(nose(smooth), 100.0, atol=1e-6)

    def test_no_frames_one_frame_and_nobody_are_no_problem(self):
        for frames, persons in ((0, 1), (1, 1), (5, 0), (3, 2)):
            empty = PoseSequence(
                np.zeros((frames, persons, NUM_KEYPOINTS, 2)),
                np.zeros((frames, persons, NUM_KEYPOINTS)),
                8,
                8,
            )
            smooth, report = smooth_poses(empty)
            assert smooth.scores.shape == empty.scores.shape
            assert report.empty_frames == tuple(range(frames))
            assert ("no person" in report.to_text()) == (frames > 0)


def test_a_parabola_is_reproduced():
    t = np.arange(12.0)
    curve = np.stack([3 * t**2 - t, 40 - 2 * t**2], axis=-1)
    fitted = fit_parabolas(curve, np.ones(12), 7)
    np.testing.assert_allclose(fitted, curve, atol=0.05)


class TestErrors:
    def test_even_windows(self):
        with pytest.raises(SettingsError) as error:
            SmoothingSettings(window=6)
        assert str(error.value) == "window must be odd so that it has a middle, got 6."

    def test_negative_gaps(self):
        with pytest.raises(SettingsError) as error:
            SmoothingSettings(max_gap=-1)
        assert str(error.value) == "max_gap must be 0 or more frames, got -1."

    def test_hysteresis_the_wrong_way_round(self):
        with pytest.raises(SettingsError) as error:
            SmoothingSettings(hide_score=0.5, show_score=0.3)
        assert str(error.value) == (
            "hide_score must be from 0 to show_score, got hide_score 0.5 and show_score 0.3."
        )


def test_a_long_clip_is_fitted_as_a_short_one(monkeypatch):
    """Some frames at a time, or all of them: the same to the bit, and every window sees past the cut."""
    rng = np.random.default_rng(0)
    points, weights = rng.normal(size=(50, 2, 3, 2)), rng.uniform(size=(50, 2, 3))
    for window in (1, 5, 9, 61):
        whole = fit_parabolas(points, weights, window)
        monkeypatch.setattr(smoothing, "_FRAMES_AT_ONCE", 7)
        assert np.array_equal(fit_parabolas(points, weights, window), whole)
        monkeypatch.undo()
