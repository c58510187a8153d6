"""Skeleton pictures back to poses: against the poses they were drawn from."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from animate_anyone_core.errors import PoseError, SettingsError
from animate_anyone_core.pose.drawing import Parts, draw_poses
from animate_anyone_core.pose.drawing_profiles import PROFILES, find_profile
from animate_anyone_core.pose.reading.clip import READABLE, STYLES, read_skeletons
from animate_anyone_core.pose.skeleton import BODY, FACE, LEFT_HAND, RIGHT_HAND
from animate_anyone_core.video import read_video

pytestmark = pytest.mark.slow

_SPEC = importlib.util.spec_from_file_location("drawn", Path(__file__).with_name("drawn.py"))
drawn = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(drawn)

HANDS = np.r_[LEFT_HAND, RIGHT_HAND]
REAL = Path(__file__).parents[4] / "shared" / "data" / "pose_videos"


@pytest.fixture(scope="module")
def poses():
    return drawn.dancers()


@pytest.fixture(scope="module", params=STYLES)
def round_trip(request, poses, tmp_path_factory):
    """A style, and what was read from dancers drawn in it and compressed."""
    folder = tmp_path_factory.mktemp("round_trip")
    frames = drawn.through_video(poses, request.param, folder)
    return request.param, read_skeletons(frames, request.param)


def errors(read, truth, part):
    both = (read.scores[:, 0, part] > 0) & (truth.scores[:, 0, part] > 0)
    gaps = np.linalg.norm(read.points[:, 0, part] - truth.points[:, 0, part], axis=-1)
    return gaps[both], both.sum() / (truth.scores[:, 0, part] > 0).sum()


def test_bodies_come_back_to_a_pixel_and_a_half(round_trip, poses):
    gaps, share = errors(round_trip[1][0], poses, BODY)
    assert np.median(gaps) < 1.0
    assert np.quantile(gaps, 0.9) < 2.5
    assert share > 0.97


def test_hands_come_back_to_two_pixels_and_a_half(round_trip, poses):
    gaps, share = errors(round_trip[1][0], poses, HANDS)
    assert np.median(gaps) < 2.5
    assert share > 0.8


def test_faces_come_back_where_they_are_drawn(round_trip, poses):
    style, (read, _) = round_trip
    if not find_profile(style).face:
        assert not (read.scores[..., FACE] > 0).any()
        return
    gaps, share = errors(read, poses, FACE)
    assert np.median(gaps) < 2.5
    assert share > 0.8


def test_no_joint_lies_on_a_wrong_limb_where_limbs_do_not_cross(round_trip, poses):
    read, checked = round_trip[1][0], 0
    for frame in range(poses.num_frames):
        points, scores = poses.points[frame, 0, BODY], poses.scores[frame, 0, BODY]
        if not drawn.is_uncrossed(points, scores):
            continue
        seen = np.flatnonzero((scores > 0) & (read.scores[frame, 0, BODY] > 0))
        apart = np.linalg.norm(read.points[frame, 0, seen][:, None] - points[seen], axis=-1)
        assert (seen[apart.argmin(axis=1)] == seen).all()
        checked += 1
    assert checked >= 2


def test_drawn_again_the_picture_is_the_same(round_trip):
    _, (_, report) = round_trip
    assert report.overlap > 0.75
    assert f"Drawn again, {report.overlap:.0%} of the ink is the same." in str(report)
    assert "8 frames in the style" in str(report)
    assert "1 person." in str(report)


@pytest.mark.parametrize("style", STYLES)
def test_the_style_is_found_out(style, tmp_path):
    """At 640 pixels no two styles draw the same picture."""
    single = drawn.sequence(drawn.person(size=700), size=(640, 768))
    frames = drawn.through_video(single, style, tmp_path)
    assert read_skeletons(frames)[1].style == style


def test_people_who_stand_apart_are_told_apart(tmp_path):
    left, right = drawn.person(0, 80, 330), drawn.person(260, 20, 330)
    both = drawn.sequence(left, right, size=(640, 448))
    read, report = read_skeletons(drawn.through_video(both, "openpose", tmp_path), "openpose")
    assert report.num_persons == 2
    found = read.points[0, :, BODY]
    order = np.argsort(found[:, 1, 0])
    gaps = np.linalg.norm(found[order] - both.points[0, :, BODY], axis=-1)
    assert (read.scores[0, :, BODY] > 0).all()
    assert gaps.max() < 2.5


@pytest.mark.parametrize("without", [(4,), (3, 4), (9, 10, 12, 13), (0, 14, 15, 16, 17), (2, 3, 4)])
def test_what_is_not_drawn_is_not_read(without, tmp_path):
    single = drawn.sequence(drawn.person(size=700, without=without))
    read, _ = read_skeletons(drawn.through_video(single, "moore", tmp_path), "moore")
    assert np.flatnonzero(read.scores[0, 0, BODY] == 0).tolist() == list(without)


def test_a_limb_whose_parents_are_hidden_is_still_read(tmp_path):
    single = drawn.sequence(drawn.person(size=700, without=(2,)))
    read, _ = read_skeletons(drawn.through_video(single, "moore", tmp_path), "moore")
    gaps = np.linalg.norm(read.points[0, 0, 3:5] - single.points[0, 0, 3:5], axis=-1)
    assert (read.scores[0, 0, 3:5] > 0).all()
    assert gaps.max() < 2.5


def test_scores_tell_seen_joints_from_inferred_ones(tmp_path):
    """A hand's root covers the dot of its wrist, and nothing covers the elbow's."""
    points, scores = drawn.person(size=700)
    points[RIGHT_HAND], scores[RIGHT_HAND] = points[4] + [[0, -i] for i in range(21)], 1.0
    single = drawn.sequence((points, scores))
    read, _ = read_skeletons(drawn.through_video(single, "moore", tmp_path), "moore")
    assert read.scores[0, 0, 3] > 0.8
    assert 0.5 <= read.scores[0, 0, 4] < 0.8


def test_frames_without_anybody_are_named(tmp_path):
    single = drawn.sequence(drawn.person())
    frames = np.concatenate([drawn.through_video(single, "moore", tmp_path)] * 3)
    frames[1] = 0
    read, report = read_skeletons(frames, "moore", fps=7.0)
    assert "Nobody in 1 of 3 frames: 1." in str(report)
    assert read.fps == 7.0
    assert not read.scores[1].any()


def test_reading_is_deterministic(tmp_path):
    frames = drawn.through_video(drawn.dancers(seeds=(1,), frames=1), "moore", tmp_path)
    first, second = (read_skeletons(frames, "moore")[0] for _ in range(2))
    assert (first.points == second.points).all()


def test_another_style_is_named(tmp_path):
    frames = drawn.through_video(drawn.sequence(drawn.person(size=700)), "musepose", tmp_path)
    with pytest.raises(PoseError) as error:
        read_skeletons(frames, "moore")
    assert str(error.value) == (
        "These skeletons are not drawn in the style moore but in musepose: give that, or no style to "
        "have it found out."
    )


def test_a_video_of_people_is_no_skeleton():
    frames = np.random.default_rng(0).integers(0, 255, (2, 64, 48, 3), np.uint8)
    with pytest.raises(PoseError, match=r"no skeleton pictures: only .* is black") as error:
        read_skeletons(frames)
    assert 'For a video of people take `detect-pose` or "Detect Poses".' in str(error.value)


def test_black_pictures_hold_no_skeleton():
    with pytest.raises(PoseError, match="The pictures are all black: there is no skeleton"):
        read_skeletons(np.zeros((2, 64, 48, 3), np.uint8))


def test_other_drawings_are_refused():
    frames = np.zeros((1, 256, 256, 3), np.uint8)
    frames[0, 100:120, 40:200] = (250, 240, 90)
    frames[0, 20:90, 100:110] = (90, 240, 250)
    with pytest.raises(PoseError, match="no skeletons in a known style") as error:
        read_skeletons(frames)
    assert "(moore, musepose, openpose, sdpose)" in str(error.value)


def test_there_must_be_a_frame_and_a_person():
    with pytest.raises(SettingsError, match="at least 1 frame and 1 person, got 0 and 4"):
        read_skeletons(np.zeros((0, 64, 48, 3), np.uint8))
    with pytest.raises(SettingsError, match="got 1 and 0"):
        read_skeletons(np.zeros((1, 64, 48, 3), np.uint8), most_people=0)
    with pytest.raises(SettingsError, match="Unknown skeleton style 'x'"):
        read_skeletons(np.zeros((1, 64, 48, 3), np.uint8), "x")
    with pytest.raises(SettingsError, match="style aniportrait show faces alone, as lines"):
        read_skeletons(np.zeros((1, 64, 48, 3), np.uint8), "aniportrait")


def test_every_style_can_be_read_or_says_why_not():
    assert set(PROFILES) - set(READABLE) == {n for n, p in PROFILES.items() if p.face_lines}


@pytest.mark.parametrize("name", ["anyone-video-2_kps.mp4", "anyone-video-5_kps.mp4"])
def test_published_skeletons_drawn_again_lie_on_themselves(name):
    if not REAL.is_dir():
        pytest.skip(f"needs {REAL}")
    frames = read_video(REAL / name).frames[::45]
    read, report = read_skeletons(frames)
    again = draw_poses(read, "moore", (frames.shape[2], frames.shape[1]), seen_score=0.01)
    ink, ours = frames.max(axis=-1) > 56, again.max(axis=-1) > 56
    assert report.style == "moore"
    assert (ink & ours).sum() / (ink | ours).sum() > 0.8
    bodies = draw_poses(read, "moore", parts=Parts(hands=False, face=False), seen_score=0.01)
    assert ((bodies.max(axis=-1) > 56) & ~ink).sum() < 0.05 * ink.sum()


def test_faces_as_lines_are_no_skeletons():
    with pytest.raises(SettingsError, match="Pictures in the style aniportrait show faces alone"):
        read_skeletons(np.zeros((1, 64, 64, 3), np.uint8), style="aniportrait")
