"""Windows cover the clip exactly; what each schedule promises."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from animate_anyone_core.errors import SettingsError
from animate_anyone_core.sampling.blending import BLENDINGS, Blend, window_weights
from animate_anyone_core.sampling.windows import (
    SCHEDULES,
    WindowSettings,
    open_windows,
    published_windows,
    windows_for_changes,
)


@st.composite
def clips(draw):
    """(frames of the clip, frames of a window, overlap)."""
    length = draw(st.integers(1, 60))
    return draw(st.integers(1, 400)), length, draw(st.integers(0, length - 1))


@st.composite
def long_clips(draw):
    """(frames of a clip, any settings for it), of at most 200,000 predictions in all."""
    num_frames = draw(st.integers(1, 10_000))
    length = draw(st.one_of(st.integers(1, 128), st.integers(1, 10_000)))
    least = min(-(-num_frames * min(length, num_frames) // 200_000), length)
    overlap = length - draw(st.integers(max(least, 1), length))
    return num_frames, WindowSettings(
        context_frames=length,
        context_overlap=overlap,
        schedule=draw(st.sampled_from(list(SCHEDULES))),
        blending=draw(st.sampled_from(BLENDINGS)),
    )


def spans(windows):
    return [(window[0], window[-1]) for window in windows]


class TestOpenWindows:
    @given(clips())
    @settings(max_examples=300, deadline=None)
    def test_cover_every_frame_with_runs_of_equal_length(self, clip):
        num_frames, length, overlap = clip
        windows = open_windows(num_frames, length, overlap)
        assert sorted({frame for window in windows for frame in window}) == list(range(num_frames))
        for window in windows:
            assert window == list(range(window[0], window[0] + min(length, num_frames)))

    @given(clips())
    @settings(max_examples=300, deadline=None)
    def test_start_at_the_start_end_at_the_end_and_overlap_enough(self, clip):
        num_frames, length, overlap = clip
        windows = open_windows(num_frames, length, overlap)
        assert windows[0][0] == 0
        assert windows[-1][-1] == num_frames - 1
        for before, after in pairwise(windows):
            assert before[0] < after[0]
            assert len(set(before) & set(after)) >= overlap

    @given(clips())
    @settings(max_examples=300, deadline=None)
    def test_are_as_few_as_the_overlap_allows(self, clip):
        """One fewer, placed as far apart as the overlap allows, would not reach the end."""
        num_frames, length, overlap = clip
        count = len(open_windows(num_frames, length, overlap))
        if count > 1:
            reach = length + (count - 2) * (length - overlap)
            assert reach < num_frames

    @given(clips())
    @settings(max_examples=200, deadline=None)
    def test_are_spread_evenly(self, clip):
        starts = [window[0] for window in open_windows(*clip)]
        steps = {after - before for before, after in pairwise(starts)}
        assert len(steps) <= 1 or max(steps) - min(steps) == 1

    def test_example(self):
        assert spans(open_windows(num_frames=10, length=6, overlap=2)) == [(0, 5), (4, 9)]
        assert spans(open_windows(25, 24, 4)) == [(0, 23), (1, 24)]
        assert open_windows(3, 24, 4) == [[0, 1, 2]]


class TestPublishedWindows:
    def test_a_short_clip_is_one_window(self):
        for closed_loop in (True, False):
            assert published_windows(24, 24, 1, 4, closed_loop=closed_loop) == [list(range(24))]

    def test_a_closed_loop_mixes_the_end_with_the_start(self):
        """As Moore-AnimateAnyone does: the last window wraps round."""
        windows = published_windows(20, 8, 1, 2, closed_loop=True)
        assert spans(windows) == [(0, 7), (6, 13), (12, 19), (18, 5)]

    def test_an_open_one_wraps_only_where_it_does_not_fit(self):
        assert spans(published_windows(20, 8, 1, 2, closed_loop=False)) == spans(
            open_windows(20, 8, 2)
        )
        assert spans(published_windows(19, 8, 1, 2, closed_loop=False))[-1] == (12, 0)

    def test_further_strides_take_every_second_and_fourth_frame(self):
        windows = published_windows(20, 6, 3, 2, closed_loop=True)
        steps = [(window[1] - window[0]) % 20 for window in windows]
        assert steps == sorted(steps)
        assert set(steps) == {1, 2, 4}

    @given(clips(), st.integers(1, 4), st.booleans())
    @settings(max_examples=200, deadline=None)
    def test_have_equal_lengths_and_frames_of_the_clip(self, clip, stride, closed_loop):
        num_frames, length, overlap = clip
        windows = published_windows(num_frames, length, stride, overlap, closed_loop=closed_loop)
        assert {len(window) for window in windows} == {min(length, num_frames)}
        assert {frame for window in windows for frame in window} <= set(range(num_frames))

    @given(clips())
    @settings(max_examples=200, deadline=None)
    def test_a_closed_loop_covers_the_clip(self, clip):
        num_frames, length, overlap = clip
        windows = published_windows(num_frames, length, 1, overlap, closed_loop=True)
        assert {frame for window in windows for frame in window} == set(range(num_frames))


class TestSettings:
    @pytest.mark.parametrize("schedule", list(SCHEDULES))
    @given(clip=clips())
    @settings(max_examples=60, deadline=None)
    def test_every_schedule_covers_the_clip(self, schedule, clip):
        num_frames, length, overlap = clip
        wanted = WindowSettings(context_frames=length, context_overlap=overlap, schedule=schedule)
        windows = wanted.windows(num_frames)
        assert {frame for window in windows for frame in window} == set(range(num_frames))

    @given(long_clips())
    @settings(max_examples=60, deadline=None)
    def test_any_settings_of_any_clip_give_every_frame_weights_that_sum_to_one(self, drawn):
        """Through the blend itself: predictions of 1 everywhere come out as 1 everywhere."""
        num_frames, wanted = drawn
        blend = Blend(torch.empty(1, 1, num_frames, 1, 1, dtype=torch.float64))
        for window in wanted.windows(num_frames):
            assert all(0 <= frame < num_frames for frame in window)
            assert len(window) == min(wanted.context_frames, num_frames)
            weights = window_weights(len(window), wanted.blending, wanted.context_overlap)
            blend.add(torch.ones(1, 1, len(window), 1, 1), window, weights)
        # a frame in no window would be 0 / 0
        assert_close(
            blend.take(range(num_frames)), torch.ones(1, 1, num_frames, 1, 1, dtype=torch.float64)
        )

    def test_the_default_is_open(self):
        windows = WindowSettings(context_frames=8, context_overlap=2).windows(20)
        assert windows == open_windows(20, 8, 2)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            (
                {"context_frames": 0, "context_overlap": 0},
                "A window needs at least 1 frame, got context_frames=0.",
            ),
            (
                {"context_frames": 8, "context_overlap": 8},
                "The overlap must be from 0 to 7 for a window of 8 frames, got 8.",
            ),
            (
                {"context_frames": 8, "context_overlap": -1},
                "The overlap must be from 0 to 7 for a window of 8 frames, got -1.",
            ),
            (
                {"schedule": "spiral"},
                "Window schedules are open, looped, published_open, got 'spiral'.",
            ),
        ],
    )
    def test_other_values_are_refused(self, changes, message):
        with pytest.raises(SettingsError) as error:
            WindowSettings(**changes)
        assert str(error.value) == message

    def test_an_empty_clip_is_refused(self):
        with pytest.raises(SettingsError) as error:
            WindowSettings().windows(0)
        assert str(error.value) == "A clip needs at least 1 frame, got 0."


@pytest.mark.parametrize("changing", [[0], [4], [11], [5, 6], [0, 11], [2, 7]])
def test_a_plan_for_changes_keeps_every_window_of_every_changing_frame(changing):
    windows = open_windows(12, 4, 2)
    frames, plan = windows_for_changes(windows, [i in changing for i in range(12)])
    whole = [[i + frames.start for i in window] for window in plan]
    for frame in changing:
        assert [w for w in whole if frame in w] == [w for w in windows if frame in w]
    assert {i for window in whole for i in window} == set(frames)  # no frame without a window


def test_windows_that_wrap_need_the_whole_clip():
    windows = published_windows(12, 4, 1, 2, closed_loop=True)
    frames, plan = windows_for_changes(windows, [True] + [False] * 11)
    assert frames == range(12)
    assert plan == windows
