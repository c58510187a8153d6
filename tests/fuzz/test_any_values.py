"""Drawing, resizing and videos hold for any values: hypothesis looks for those that break them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from animate_anyone_core.images import fit
from animate_anyone_core.media.timing import Excerpt
from animate_anyone_core.pose.drawing import draw_poses
from animate_anyone_core.pose.drawing_profiles import PROFILES
from animate_anyone_core.pose.skeleton import NUM_KEYPOINTS, PoseSequence
from animate_anyone_core.video import read_video, write_video

few = settings(max_examples=12)
seeds = st.integers(0, 2**32 - 1)
sides = st.integers(1, 300)


def any_poses(seed, people, reach, width, height):
    """Keypoints in the canvas, at its border and far beyond; some without score, one at infinity."""
    rng = np.random.default_rng(seed)
    points = rng.normal(0.5, reach, (2, people, NUM_KEYPOINTS, 2)) * (width, height)
    scores = rng.choice([0.0, 0.29, 0.31, 1.0, 7.5], (2, people, NUM_KEYPOINTS))
    return PoseSequence(points, scores, width, height)


class TestDrawing:
    @few
    @given(
        seeds, st.integers(0, 3), st.floats(0, 1e6), sides, sides, st.sampled_from(list(PROFILES))
    )
    def test_any_poses_are_drawn_on_their_canvas(self, seed, people, reach, width, height, style):
        poses = any_poses(seed, people, reach, width, height)
        before = poses.points.copy(), poses.scores.copy()
        pictures = draw_poses(poses, style)
        assert pictures.shape == (2, height, width, 3)
        assert pictures.dtype == np.uint8
        assert np.array_equal(poses.points, before[0])
        assert np.array_equal(poses.scores, before[1])
        assert people or not pictures.any()

    @few
    @given(seeds, sides, sides, sides, sides, st.sampled_from(["pad", "crop", "stretch"]))
    def test_any_canvas_fits_any_picture(self, seed, width, height, to_width, to_height, how):
        poses = any_poses(seed, 1, 0.3, width, height)
        size = to_width, to_height
        assert draw_poses(poses, "dwpose", size, fit=how).shape == (2, to_height, to_width, 3)

    @few
    @given(seeds, st.sampled_from(list(PROFILES)))
    def test_who_has_no_score_is_not_drawn(self, seed, style):
        poses = any_poses(seed, 2, 0.3, 64, 96)
        hidden = PoseSequence(poses.points, np.zeros_like(poses.scores), 64, 96)
        assert not draw_poses(hidden, style).any()


class TestResizing:
    @few
    @given(seeds, sides, sides, sides, sides, st.sampled_from(["pad", "crop", "stretch"]))
    def test_any_size_becomes_any_other(self, seed, width, height, to_width, to_height, how):
        low, high = sorted(np.random.default_rng(seed).integers(0, 256, 2))
        pixels = np.random.default_rng(seed).integers(low, high + 1, (height, width, 3))
        fitted = fit(Image.fromarray(pixels.astype(np.uint8)), to_width, to_height, how)
        assert fitted.size == (to_width, to_height)
        # Lanczos may go beyond, but a plain picture stays plain
        if low == high:
            assert np.unique(np.asarray(fitted)).tolist() == [low]


class TestVideos:
    @pytest.mark.slow
    @settings(max_examples=12)
    @given(st.integers(1, 7), st.integers(2, 70), st.integers(2, 70), st.floats(1, 120))
    def test_as_many_frames_of_that_size_and_rate_come_back(
        self, tmp_path_factory, count, width, height, fps
    ):
        path = tmp_path_factory.mktemp("videos") / "a.mp4"
        frames = np.full((count, height, width, 3), 90, np.uint8)
        assert write_video(path, iter(frames), fps) == count
        clip = read_video(path)
        assert clip.frames.shape == (count, height // 2 * 2, width // 2 * 2, 3)
        assert clip.fps == pytest.approx(fps, rel=2e-3)
        assert np.abs(clip.frames.astype(int) - 90).max() <= 3

    @pytest.mark.slow
    @settings(max_examples=12)
    @given(st.integers(2, 12), st.floats(2, 60), st.floats(1, 90))
    def test_another_rate_keeps_the_length(self, tmp_path_factory, count, fps, asked):
        path = tmp_path_factory.mktemp("videos") / "a.mp4"
        write_video(path, np.full((count, 16, 16, 3), 90, np.uint8), fps)
        clip = read_video(path, excerpt=Excerpt(fps=asked))
        assert abs(len(clip.frames) - count / fps * asked) <= 1 + 0.02 * count / fps * asked
        assert clip.fps == pytest.approx(asked)
