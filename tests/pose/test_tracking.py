"""Identities of walking figures whose order in the input is shuffled in every frame."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animate_anyone_core.errors import PoseError, SettingsError
from animate_anyone_core.pose.skeleton import BODY, NUM_KEYPOINTS, PoseSequence
from animate_anyone_core.pose.tracking import body_boxes, choose_person, track_persons

# A standing figure in OpenPose order, neck at the origin, 100 high.
FIGURE = np.array(
    [
        *((0, -15), (0, 0), (-10, 0), (-14, 18), (-15, 34), (10, 0), (14, 18), (15, 34), (-6, 35)),
        *((-7, 58), (-8, 82), (6, 35), (7, 58), (8, 82), (-2, -17), (2, -17), (-5, -16), (5, -16)),
    ],
    dtype=float,
)


def walk(starts, speeds, frames, size=1.5, noise=0.5, seed=0, swing=6.0):
    """Figures with swinging limbs: points (F, P, K, 2) and scores; the slot is the identity."""
    rng = np.random.default_rng(seed)
    people = len(starts)
    points = np.zeros((frames, people, NUM_KEYPOINTS, 2))
    scores = np.zeros((frames, people, NUM_KEYPOINTS))
    for frame in range(frames):
        for person in range(people):
            body = FIGURE.copy()
            phase = np.sin(0.35 * frame + 1.7 * person)
            body[[4, 7, 10, 13], 0] += swing * phase * np.array([1, -1, -1, 1])
            place = np.array(starts[person]) + frame * np.array(speeds[person])
            points[frame, person, BODY] = body * size + place + rng.normal(0, noise, (18, 2))
            scores[frame, person, BODY] = 0.9
    return points, scores


def shuffled(points, scores, seed=1):
    """Give the people of every frame a random order; returns what `track_persons` gets."""
    rng = np.random.default_rng(seed)
    points, scores = points.copy(), scores.copy()
    for frame in range(len(points)):
        order = rng.permutation(points.shape[1])
        points[frame], scores[frame] = points[frame, order], scores[frame, order]
    return PoseSequence(points, scores, 640, 360)


def identities(tracked, points, present):
    """Which true person each slot shows in each frame, -1 for nobody: (F, slots)."""
    shown = np.full(tracked.scores.shape[:2], -1)
    for frame in range(tracked.num_frames):
        for slot in range(tracked.num_persons):
            if (tracked.scores[frame, slot] > 0).any():
                distance = [
                    np.abs(tracked.points[frame, slot, BODY] - points[frame, p, BODY]).max()
                    if present[frame, p]
                    else np.inf
                    for p in range(points.shape[1])
                ]
                assert min(distance) == 0
                shown[frame, slot] = int(np.argmin(distance))
    return shown


def each_slot_shows_one_person(shown):
    return all(len(set(column[column >= 0])) <= 1 for column in shown.T)


def everywhere(points):
    return np.ones(points.shape[:2], bool)


def test_two_people_walk_past_each_other():
    points, scores = walk([(100, 120), (500, 125)], [(6, 0), (-6, 0)], 60)
    tracked = track_persons(shuffled(points, scores))
    assert tracked.num_persons == 2
    assert each_slot_shows_one_person(identities(tracked, points, everywhere(points)))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(2, 9), st.floats(2, 9), st.integers(-20, 20))
def test_any_crossing_keeps_identities(seed, speed, other_speed, height):
    points, scores = walk(
        [(60, 120), (560, 120 + height)], [(speed, 0), (-other_speed, 0)], 60, seed=seed
    )
    tracked = track_persons(shuffled(points, scores, seed))
    assert tracked.num_persons == 2
    assert each_slot_shows_one_person(identities(tracked, points, everywhere(points)))


@pytest.mark.parametrize("lost", [1, 5, 15])
def test_a_person_hidden_at_the_crossing_comes_back_as_the_same(lost):
    """The one behind is not found for up to 15 frames around the crossing."""
    points, scores = walk([(100, 120), (500, 125)], [(6, 0), (-6, 0)], 60)
    middle = 33
    hidden = slice(middle - lost // 2, middle - lost // 2 + lost)
    scores[hidden, 1] = 0
    present = scores.any(axis=-1)
    tracked = track_persons(shuffled(points, scores))
    shown = identities(tracked, points, present)
    assert tracked.num_persons == 2
    assert each_slot_shows_one_person(shown)


def test_clothes_decide_where_motion_misleads():
    """Two people walk towards each other behind a wall, turn round and come out where they went
    in; going straight on would have exchanged them."""
    points, scores = walk([(250, 120), (358, 120)], [(0, 0), (0, 0)], 30, noise=0.3)
    path = np.concatenate([np.linspace(0, 44, 12), np.full(6, 44), np.linspace(44, 0, 12)])
    points[:, 0, BODY, 0] += path[:, None]
    points[:, 1, BODY, 0] -= path[:, None]
    scores[12:18] = 0
    present = scores.any(axis=-1)
    colors = np.tile(np.array([[200.0, 30, 30], [30, 30, 200]]), (30, 1, 1))
    poses = PoseSequence(points, scores, 640, 360)

    def kept(colors):
        shown = identities(track_persons(poses, colors=colors), points, present)
        return each_slot_shows_one_person(shown)

    assert not kept(None)
    assert kept(colors)
    unknown = colors.copy()
    unknown[1::2] = np.nan  # a torso is not seen in every frame
    assert kept(unknown)


def test_a_loss_of_sixteen_frames_is_too_long():
    points, scores = walk([(100, 120)], [(0, 0)], 40)
    scores[10:26] = 0
    assert track_persons(PoseSequence(points, scores, 640, 360)).num_persons == 2
    scores[25] = 0.9
    assert track_persons(PoseSequence(points, scores, 640, 360)).num_persons == 1


def test_slots_are_ordered_by_size():
    small, small_scores = walk([(100, 120)], [(1, 0)], 5, size=1.0)
    large, large_scores = walk([(400, 120)], [(1, 0)], 5, size=2.0)
    poses = PoseSequence(
        np.concatenate([small, large], axis=1),
        np.concatenate([small_scores, large_scores], axis=1),
        640,
        360,
    )
    np.testing.assert_array_equal(track_persons(poses).points[:, 0], large[:, 0])


def test_two_poses_of_one_body_become_one():
    points, scores = walk([(100, 120), (100, 120)], [(1, 0), (1, 0)], 5, noise=0.2, swing=0)
    scores[:, 1, BODY] = 0.6
    tracked = track_persons(PoseSequence(points, scores, 640, 360))
    assert tracked.num_persons == 1
    np.testing.assert_array_equal(tracked.points[:, 0], points[:, 0])


def test_nobody_at_all():
    for shape in ((0, 1), (3, 0), (3, 2)):
        points = np.zeros((*shape, NUM_KEYPOINTS, 2))
        tracked = track_persons(PoseSequence(points, np.zeros(points.shape[:3]), 64, 48, 25.0))
        assert tracked.scores.shape == (shape[0], 1, NUM_KEYPOINTS)
        assert tracked.fps == 25.0


def test_hands_and_face_travel_with_their_body():
    points, scores = walk([(100, 120), (500, 125)], [(6, 0), (-6, 0)], 60)
    scores[:, :, 100] = 0.5
    points[:, 0, 100], points[:, 1, 100] = (1, 1), (2, 2)
    tracked = track_persons(shuffled(points, scores))
    for slot in range(2):
        assert len({tuple(p) for p in tracked.points[:, slot, 100]}) == 1


class TestChoice:
    def poses(self):
        points, scores = walk([(100, 120), (400, 120)], [(1, 0), (1, 0)], 8, size=1.0)
        points[:, 1, BODY] = (points[:, 1, BODY] - (400, 120)) * 2 + (400, 120)
        scores[:2] = 0
        return PoseSequence(points, scores, 640, 360)

    def test_all_keeps_everybody(self):
        poses = self.poses()
        assert choose_person(poses, "all") is poses

    def test_largest(self):
        poses = self.poses()
        np.testing.assert_array_equal(choose_person(poses).points[:, 0], poses.points[:, 1])

    def test_index(self):
        poses = self.poses()
        chosen = choose_person(poses, "index", index=0)
        np.testing.assert_array_equal(chosen.points[:, 0], poses.points[:, 0])
        assert chosen.num_persons == 1

    @pytest.mark.parametrize(("point", "person"), [((105, 150), 0), ((390, 150), 1), ((0, 0), 0)])
    def test_point_in_the_nearest_frame_with_people(self, point, person):
        poses = self.poses()
        chosen = choose_person(poses, "point", point=point, frame=0)
        np.testing.assert_array_equal(chosen.points[:, 0], poses.points[:, person])

    def test_nobody_to_choose_is_no_error(self):
        points = np.zeros((3, 1, NUM_KEYPOINTS, 2))
        nobody = PoseSequence(points, np.zeros(points.shape[:3]), 64, 48)
        for choice in ("largest", "index", "all", "point"):
            assert choose_person(nobody, choice, point=(3, 3)).num_persons == 1

    @pytest.mark.parametrize(
        ("options", "kind", "message"),
        [
            (
                {"choice": "tallest"},
                SettingsError,
                "Unknown choice of a person 'tallest'. Known: largest, index, point, all.",
            ),
            (
                {"choice": "index", "index": 2},
                SettingsError,
                "There is no person 2: the clip has 2, counted from 0. Choose a smaller number.",
            ),
            (
                {"choice": "point"},
                SettingsError,
                'Choosing a person by "point" needs the point, x and y in pixels.',
            ),
            (
                {"choice": "point", "point": (1, 1), "frame": 8},
                PoseError,
                "There is no frame 8 to choose a person in: the clip has 8, counted from 0.",
            ),
        ],
    )
    def test_messages(self, options, kind, message):
        with pytest.raises(kind) as error:
            choose_person(self.poses(), **options)
        assert str(error.value) == message


def test_boxes_leave_out_what_is_hidden():
    points = np.array([[[0.0, 0.0], [5.0, 7.0], [9.0, 1.0]]])
    assert body_boxes(points, np.array([[0.0, 1, 1]])).tolist() == [[5, 1, 9, 7]]
    assert body_boxes(points, np.zeros((1, 3))).tolist() == [[0, 0, 0, 0]]
