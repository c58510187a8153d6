"""POSE_KEYPOINT: round trips, and small hand-made examples of what each producer writes."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animate_anyone_core.errors import PoseError
from animate_anyone_core.pose.pose_keypoint import (
    from_pose_keypoint,
    standard_only,
    to_pose_keypoint,
)
from animate_anyone_core.pose.skeleton import (
    BODY,
    FACE,
    FEET,
    LEFT_HAND,
    NUM_KEYPOINTS,
    RIGHT_HAND,
    PoseSequence,
)

CANVAS = {"canvas_width": 512, "canvas_height": 768}


def a_pose(frames=2, persons=1, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.uniform(10, 500, (frames, persons, NUM_KEYPOINTS, 2))
    scores = rng.uniform(0.0, 1.2, (frames, persons, NUM_KEYPOINTS))
    return PoseSequence(points, scores, 512, 768, 25.0)


def body_list(confidence=1.0, x0=100.0):
    """18 joints at (x0 + 10 k, 200 + 5 k): every joint has its own place."""
    return [n for k in range(18) for n in (x0 + 10.0 * k, 200.0 + 5.0 * k, confidence)]


def hand_list(x, y, confidence=1.0):
    return [n for k in range(21) for n in (x + k, y + 2.0 * k, confidence)]


def face_list(count):
    return [n for k in range(count) for n in (150.0 + k, 100.0 + k, 1.0)]


def frame_of(*people):
    return {"people": list(people), **CANVAS}


class TestOurOwnRoundTrip:
    def test_nothing_is_lost_between_our_nodes(self):
        poses = a_pose(frames=3, persons=2)
        back = from_pose_keypoint(to_pose_keypoint(poses))
        np.testing.assert_array_equal(back.points, poses.points)
        np.testing.assert_array_equal(back.scores, poses.scores)
        assert (back.width, back.height, back.fps) == (512, 768, 25.0)

    def test_nothing_is_lost_through_a_json_text(self):
        poses = a_pose()
        back = from_pose_keypoint(json.loads(json.dumps(to_pose_keypoint(poses))))
        np.testing.assert_array_equal(back.points, poses.points)
        np.testing.assert_array_equal(back.scores, poses.scores)

    @settings(max_examples=20, deadline=None)
    @given(st.integers(0, 10_000), st.integers(1, 3), st.integers(1, 3))
    def test_any_pose_comes_back(self, seed, frames, persons):
        rng = np.random.default_rng(seed)
        scores = rng.uniform(-0.3, 1.0, (frames, persons, NUM_KEYPOINTS))
        points = rng.normal(200, 300, (frames, persons, NUM_KEYPOINTS, 2))
        poses = PoseSequence(points, scores, 640, 480)
        back = from_pose_keypoint(to_pose_keypoint(poses))
        np.testing.assert_array_equal(back.points, poses.points)
        np.testing.assert_array_equal(back.scores, poses.scores)

    def test_a_person_who_is_away_for_a_frame_keeps_the_slot(self):
        poses = a_pose(frames=2, persons=2)
        scores = poses.scores.copy()
        scores[0, 0] = 0
        frames = to_pose_keypoint(PoseSequence(poses.points, scores, 512, 768))
        assert len(frames[0]["people"]) == 1
        back = from_pose_keypoint(frames)
        assert (back.scores[0, 0] == 0).all()
        np.testing.assert_array_equal(back.points[0, 1], poses.points[0, 1])

    def test_an_edited_joint_wins_over_what_we_kept(self):
        frames = to_pose_keypoint(a_pose(frames=1))
        person = frames[0]["people"][0]
        joint = next(k for k in range(18) if person["pose_keypoints_2d"][3 * k + 2] == 1.0)
        person["pose_keypoints_2d"][3 * joint] = 77.0
        back = from_pose_keypoint(frames)
        assert back.points[0, 0, joint, 0] == 77.0
        assert set(np.unique(back.scores)) <= {0.0, 1.0}


class TestWhatWeWrite:
    def test_standard_lists_are_complete_and_hold_ones_and_zeros(self):
        """ComfyUI's own drawing node fails on null, controlnet_aux drops any c below 1."""
        person = to_pose_keypoint(a_pose())[0]["people"][0]
        counts = {
            "pose_keypoints_2d": 18,
            "foot_keypoints_2d": 6,
            "face_keypoints_2d": 70,
            "hand_left_keypoints_2d": 21,
            "hand_right_keypoints_2d": 21,
        }
        for key, count in counts.items():
            rows = np.reshape(person[key], (count, 3))
            assert set(rows[:, 2]) <= {0.0, 1.0}
            assert (rows[rows[:, 2] == 0] == 0).all()

    def test_points_are_pixels_and_sides_are_the_persons_own(self):
        points = np.zeros((1, 1, NUM_KEYPOINTS, 2))
        scores = np.zeros((1, 1, NUM_KEYPOINTS))
        points[0, 0, LEFT_HAND.start] = (300, 400)
        points[0, 0, 14], points[0, 0, 15] = (90, 50), (110, 51)
        scores[0, 0, [LEFT_HAND.start, 14, 15]] = 0.9
        person = to_pose_keypoint(PoseSequence(points, scores, 512, 768))[0]["people"][0]
        assert person["hand_left_keypoints_2d"][:3] == [300.0, 400.0, 1.0]
        assert person["face_keypoints_2d"][-6:] == [90.0, 50.0, 1.0, 110.0, 51.0, 1.0]

    def test_points_below_the_threshold_are_written_as_missing(self):
        points = np.full((1, 1, NUM_KEYPOINTS, 2), 50.0)
        scores = np.full((1, 1, NUM_KEYPOINTS), 0.29)
        scores[0, 0, 3] = 0.3
        person = to_pose_keypoint(PoseSequence(points, scores, 512, 768))[0]["people"][0]
        rows = np.reshape(person["pose_keypoints_2d"], (18, 3))
        assert np.flatnonzero(rows[:, 2]).tolist() == [3]

    def test_a_frame_without_people_is_an_empty_list(self):
        empty = PoseSequence(
            np.zeros((1, 1, NUM_KEYPOINTS, 2)), np.zeros((1, 1, NUM_KEYPOINTS)), 512, 768
        )
        assert to_pose_keypoint(empty) == [{"people": [], **CANVAS}]


class TestControlnetAux:
    def test_pixels_with_null_hands_and_face(self):
        person = {
            "pose_keypoints_2d": body_list(),
            "face_keypoints_2d": None,
            "hand_left_keypoints_2d": None,
            "hand_right_keypoints_2d": None,
        }
        poses = from_pose_keypoint([frame_of(person)])
        np.testing.assert_array_equal(poses.points[0, 0, 4], (140, 220))
        assert (poses.scores[0, 0, BODY] == 1).all()
        assert (poses.scores[0, 0, FEET.start :] == 0).all()

    def test_body_switched_off_is_eighteen_zero_triplets(self):
        person = {"pose_keypoints_2d": [0.0] * 54, "hand_left_keypoints_2d": hand_list(30, 40)}
        poses = from_pose_keypoint([frame_of(person)])
        assert (poses.scores[0, 0, BODY] == 0).all()
        np.testing.assert_array_equal(poses.points[0, 0, LEFT_HAND.start], (30, 40))

    def test_old_relative_coordinates_become_pixels(self):
        person = {"pose_keypoints_2d": [n for _ in range(18) for n in (0.5, 0.25, 1.0)]}
        person["pose_keypoints_2d"][:2] = [1.2, -0.1]  # a joint slightly outside the picture
        poses = from_pose_keypoint([frame_of(person)])
        np.testing.assert_allclose(poses.points[0, 0, 1], (256, 192))
        np.testing.assert_allclose(poses.points[0, 0, 0], (1.2 * 512, -0.1 * 768))

    def test_face_of_seventy_and_of_sixty_eight(self):
        for count in (68, 70):
            person = {"pose_keypoints_2d": body_list(), "face_keypoints_2d": face_list(count)}
            poses = from_pose_keypoint([frame_of(person)])
            np.testing.assert_array_equal(poses.points[0, 0, FACE.stop - 1], (217, 167))
            np.testing.assert_array_equal(poses.points[0, 0, LEFT_HAND.start], (0, 0))

    def test_animals_are_refused_in_words(self):
        frame = {"version": "ap10k", "animals": [[1.0] * 51], **CANVAS}
        with pytest.raises(PoseError) as error:
            from_pose_keypoint([frame])
        assert str(error.value) == (
            "Frame 0 of the poses holds animals (ap10k keypoints), expected people. "
            "Use a pose estimator for humans, such as DWPose."
        )


class TestSDPose:
    """ComfyUI's own nodes: real scores, feet, -1 for what is invalid, hands named crosswise."""

    def person(self):
        body = body_list(confidence=0.62)
        return {
            "pose_keypoints_2d": body,
            "foot_keypoints_2d": [n for k in range(6) for n in (10.0 + k, 20.0, 0.5)],
            "face_keypoints_2d": face_list(70),
            # wrists: right (4) at (140, 220), left (7) at (170, 235)
            "hand_right_keypoints_2d": hand_list(171, 236, 0.8),
            "hand_left_keypoints_2d": hand_list(139, 221, 0.7),
        }

    def test_hands_follow_the_wrists_not_the_names(self):
        poses = from_pose_keypoint([frame_of(self.person())])
        np.testing.assert_array_equal(poses.points[0, 0, LEFT_HAND.start], (171, 236))
        np.testing.assert_array_equal(poses.points[0, 0, RIGHT_HAND.start], (139, 221))
        assert poses.scores[0, 0, LEFT_HAND.start] == 0.8

    def test_hands_with_the_right_names_stay(self):
        person = self.person()
        keys = ("hand_left_keypoints_2d", "hand_right_keypoints_2d")
        person[keys[0]], person[keys[1]] = person[keys[1]], person[keys[0]]
        poses = from_pose_keypoint([frame_of(person)])
        np.testing.assert_array_equal(poses.points[0, 0, LEFT_HAND.start], (171, 236))

    def test_one_hand_alone_goes_to_its_wrist(self):
        person = self.person()
        person["hand_left_keypoints_2d"] = None
        poses = from_pose_keypoint([frame_of(person)])
        np.testing.assert_array_equal(poses.points[0, 0, LEFT_HAND.start], (171, 236))
        assert (poses.scores[0, 0, RIGHT_HAND] == 0).all()

    def test_frames_without_wrists_follow_the_majority(self):
        hidden = self.person()
        hidden["pose_keypoints_2d"] = [0.0] * 54
        poses = from_pose_keypoint([frame_of(self.person()), frame_of(hidden)])
        np.testing.assert_array_equal(poses.points[1, 0, LEFT_HAND.start], (171, 236))

    def test_scores_and_feet_are_kept(self):
        poses = from_pose_keypoint([frame_of(self.person())])
        assert poses.scores[0, 0, 0] == 0.62
        np.testing.assert_array_equal(poses.points[0, 0, FEET.start + 2], (12, 20))

    def test_minus_one_and_nan_are_absent(self):
        person = self.person()
        person["pose_keypoints_2d"][0:2] = [-1.0, -1.0]
        person["pose_keypoints_2d"][3] = float("nan")
        poses = from_pose_keypoint([frame_of(person)])
        assert poses.scores[0, 0, :3].tolist() == [0.0, 0.0, 0.62]
        assert np.isfinite(poses.points).all()

    def test_a_point_at_the_origin_is_absent_whatever_its_score(self):
        person = self.person()
        person["pose_keypoints_2d"][0:2] = [0.0, 0.0]
        assert from_pose_keypoint([frame_of(person)]).scores[0, 0, 0] == 0


class TestOpenPose:
    def person(self):
        body = [n for k in range(25) for n in (100.0 + k, 200.0 + k, 0.8)]
        return {
            "person_id": [-1],
            "pose_keypoints_2d": body,
            "face_keypoints_2d": [],
            "hand_left_keypoints_2d": [],
            "hand_right_keypoints_2d": [],
            "pose_keypoints_3d": [],
        }

    def test_body_25_gives_eighteen_joints_and_feet(self):
        poses = from_pose_keypoint({"version": 1.3, "people": [self.person()]}, canvas=(640, 480))
        assert (poses.width, poses.height) == (640, 480)
        # 8 is the middle of the hips there; our right hip (8) is their 9, left ear (17) their 18
        np.testing.assert_array_equal(poses.points[0, 0, 8], (109, 209))
        np.testing.assert_array_equal(poses.points[0, 0, 17], (118, 218))
        np.testing.assert_array_equal(poses.points[0, 0, FEET][:, 0], 119 + np.arange(6))

    def test_a_missing_canvas_is_explained(self):
        with pytest.raises(PoseError, match="do not say how large their picture is"):
            from_pose_keypoint({"version": 1.3, "people": [self.person()]})

    def test_a_frame_without_people(self):
        poses = from_pose_keypoint({"version": 1.3, "people": []}, canvas=(640, 480))
        assert poses.scores.shape == (1, 1, NUM_KEYPOINTS)
        assert (poses.scores == 0).all()


EDITED = {
    "pose_keypoints_2d": [0, 0, 0, *body_list()[3:]],
    "face_keypoints_2d": [],
    "hand_left_keypoints_2d": [],
    "hand_right_keypoints_2d": hand_list(120, 210),
}


class TestEditors:
    """What nodes with a pose editor write: flat lists, nothing (`[]`) for a part that is not there,
    0, 0, 0 for a joint that was taken away, one frame as a bare dict, or all of it as text."""

    def test_empty_lists_are_parts_that_are_not_there(self):
        poses = from_pose_keypoint([frame_of(EDITED)])
        assert (poses.scores[0, 0, FACE] == 0).all()
        assert (poses.scores[0, 0, BODY] > 0).tolist() == [False, *[True] * 17]
        np.testing.assert_array_equal(poses.points[0, 0, BODY][1], [110.0, 205.0])

    def test_a_blank_page_is_a_person_without_a_joint(self):
        nothing = {key: [] for key in EDITED}
        poses = from_pose_keypoint([frame_of(nothing)])
        assert poses.scores.max() == 0

    def test_one_frame_may_come_without_a_list(self):
        alone, listed = (from_pose_keypoint(v) for v in (frame_of(EDITED), [frame_of(EDITED)]))
        np.testing.assert_array_equal(alone.points, listed.points)

    def test_what_we_hand_over_survives_their_exchange_of_quotes(self):
        """One editor makes its text of the clip's, with `'` read as `"` and `None` as `[]`."""
        poses = a_pose()
        doubted = PoseSequence(
            poses.points, poses.scores, 512, 768, 25.0, ("the driver's arms jump",)
        )
        text = json.dumps(to_pose_keypoint(doubted)).replace("'", '"').replace("None", "[]")
        back = from_pose_keypoint(json.loads(text))
        np.testing.assert_array_equal(back.points, poses.points)
        assert back.doubts == ("the driver\u2019s arms jump",)

    def test_the_text_for_editors_holds_what_every_program_reads(self):
        poses = a_pose(frames=2, persons=2)
        frames = standard_only(to_pose_keypoint(poses))
        assert {key for frame in frames for key in frame} == {"people", *CANVAS}
        assert not [k for f in frames for p in f["people"] for k in p if k.startswith("aa_")]
        visible = poses.scores[..., BODY] >= 0.3
        back = from_pose_keypoint(frames)
        np.testing.assert_array_equal(back.scores[..., BODY] > 0, visible)
        ours, theirs = poses.points[..., BODY, :], back.points[..., BODY, :]
        np.testing.assert_array_equal(theirs[visible], ours[visible])


class TestErrors:
    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (
                None,
                "Poses must be a POSE_KEYPOINT, a list with one dict per frame, got NoneType.",
            ),
            ([], "The poses hold no frame. Give at least one."),
            (
                [3],
                "Frame 0 of the poses must be a dict with the key 'people', got int.",
            ),
            (
                [{"bodies": 1}],
                "Frame 0 of the poses must have the key 'people', its keys are: bodies.",
            ),
            ([{"people": [3], **CANVAS}], "'people' of frame 0 must be a list of dicts."),
            (
                [frame_of({"pose_keypoints_2d": [1.0] * 10})],
                "'pose_keypoints_2d' of frame 0 must hold 54 or 75 numbers "
                "(x, y, score per keypoint), got 10.",
            ),
            (
                [frame_of({"pose_keypoints_2d": ["a"] * 54})],
                "'pose_keypoints_2d' of frame 0 must hold numbers only.",
            ),
            (
                [frame_of(), {"people": [], "canvas_width": 64, "canvas_height": 64}],
                "All frames must share one canvas: frame 0 is 512x768, frame 1 is 64x64. "
                "Bring the pictures to one size first.",
            ),
        ],
    )
    def test_messages(self, value, message):
        with pytest.raises(PoseError) as error:
            from_pose_keypoint(value)
        assert str(error.value) == message
