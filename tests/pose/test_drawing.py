"""Skeleton pictures against pictures worked out by hand from the drawing tables of each style."""

import builtins
import time

import numpy as np
import pytest

from animate_anyone_core.errors import MissingDependencyError, SettingsError
from animate_anyone_core.pose.drawing import Parts, draw_frames, draw_poses
from animate_anyone_core.pose.drawing_profiles import (
    BODY_COLORS,
    HAND_BONES,
    LIMBS,
    PROFILES,
    width_by_length,
)
from animate_anyone_core.pose.skeleton import FACE, LEFT_HAND, NUM_KEYPOINTS, PoseSequence

STYLES = ("moore", "musepose", "openpose", "dwpose", "sdpose")
# A filled circle of radius 4 (joints) and 3 (face, MusePose's hand joints), no anti-aliasing.
DOT_4 = """
....#....
..#####..
.#######.
.#######.
#########
.#######.
.#######.
..#####..
....#....
"""
DOT_3 = """
...#...
.#####.
.#####.
#######
.#####.
.#####.
...#...
"""
# An ellipse with the semi-axes 10 and 4, vertices rounded to whole pixels.
LIMB_20 = """
.....###########.....
..#################..
.###################.
#####################
#####################
#####################
.###################.
..#################..
.....###########.....
"""
# A line from (1, 1) to (8, 1) of thickness 2: three rows, a cap at each end.
BONE_7 = """
.########.
##########
.########.
"""


def mask(text):
    return np.array([[char == "#" for char in row] for row in text.split()])


def poses_of(keypoints, size=(512, 512), score=0.9):
    """One frame; people are dicts of keypoint -> (x, y) or (x, y, score)."""
    people = keypoints if isinstance(keypoints, list) else [keypoints]
    points = np.zeros((1, len(people), NUM_KEYPOINTS, 2))
    scores = np.zeros((1, len(people), NUM_KEYPOINTS))
    for slot, person in enumerate(people):
        for keypoint, (x, y, *given) in person.items():
            points[0, slot, keypoint] = (x, y)
            scores[0, slot, keypoint] = given[0] if given else score
    return PoseSequence(points, scores, *size)


def drawn(keypoints, style, **options):
    size = (1024, 1024) if style == "musepose" else (512, 512)
    picture = draw_poses(poses_of(keypoints, size), style, **options)
    assert picture.dtype == np.uint8
    return picture[0]


def colored(picture, color):
    return (picture == np.array(color)).all(axis=-1)


def only(shape_mask, x, y, picture):
    """Whether a mask with its top left corner at (x, y) is all that is not black."""
    wanted = np.zeros(picture.shape[:2], bool)
    wanted[y : y + shape_mask.shape[0], x : x + shape_mask.shape[1]] = shape_mask
    return np.array_equal(wanted, picture.any(axis=-1))


class TestTables:
    def test_limbs_start_at_the_neck_and_are_seventeen(self):
        assert len(LIMBS) == 17
        assert LIMBS[0] == (1, 2)
        assert LIMBS[12] == (1, 0)
        assert LIMBS[16] == (15, 17)

    def test_hands_have_twenty_bones_from_thumb_to_little_finger(self):
        assert HAND_BONES[:6] == ((0, 1), (1, 2), (2, 3), (3, 4), (0, 5), (5, 6))
        assert HAND_BONES[-1] == (19, 20)

    def test_colors_go_round_the_wheel(self):
        assert BODY_COLORS[:4] == ((255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0))
        assert BODY_COLORS[17] == (255, 0, 85)

    @pytest.mark.parametrize(
        ("length", "width"),
        [
            (0, 1),
            (4.9, 1),
            (5, 2),
            (10, 3),
            (20, 4),
            (40, 5),
            (80, 6),
            (160, 7),
            (319, 7),
            (320, 8),
        ],
    )
    def test_musepose_widths(self, length, width):
        assert width_by_length(length) == width

    def test_canvas_sizes_the_weights_saw(self):
        assert PROFILES["moore"].canvas_size(768, 1024) == (512, 704)
        assert PROFILES["moore"].canvas_size(1280, 720) == (896, 512)
        assert PROFILES["moore"].canvas_size(512, 512) == (512, 512)
        assert PROFILES["musepose"].canvas_size(768, 1024) == (1024, 1364)
        assert PROFILES["musepose"].shrunk_size(768, 1024) == (768, 1024)
        assert PROFILES["openpose"].canvas_size(333, 77) == (333, 77)


class TestJoints:
    @pytest.mark.parametrize("style", ["moore", "openpose", "dwpose", "sdpose"])
    def test_a_joint_is_a_dot_of_nine_pixels_in_its_color(self, style):
        picture = drawn({2: (100.9, 50.2)}, style)
        assert only(mask(DOT_4), 96, 46, picture)
        assert picture[50, 100].tolist() == [255, 170, 0]

    def test_a_face_is_white_dots_of_seven_pixels(self):
        picture = drawn({FACE.start: (100, 50)}, "moore")
        assert only(mask(DOT_3), 97, 47, picture)
        assert picture[50, 100].tolist() == [255, 255, 255]

    def test_scores_at_the_threshold(self):
        """Moore draws body joints above 0.3 and hands from 0.3 on, the others all from 0.3 on."""
        joints = {2: (100, 50, 0.3), LEFT_HAND.start: (200, 50, 0.3)}
        assert drawn(joints, "moore")[50, [100, 200]].any(axis=-1).tolist() == [False, True]
        assert drawn(joints, "openpose")[50, [100, 200]].any(axis=-1).tolist() == [True, True]
        assert not drawn({2: (100, 50, 0.29)}, "openpose").any()
        assert drawn({2: (100, 50, 0.29)}, "openpose", seen_score=0.2).any()


class TestLimbs:
    def test_a_limb_is_a_shaded_ellipse_nine_pixels_thick(self):
        """Right upper arm, (2, 3), color 2 at 60 percent; its joints lie on it in full color."""
        picture = drawn({2: (100, 50), 3: (120, 50)}, "moore")
        limb = colored(picture, (153, 102, 0))
        dots = np.zeros((512, 512), bool)
        dots[46:55, 96:105] |= mask(DOT_4)
        dots[46:55, 116:125] |= mask(DOT_4)
        ellipse = np.zeros((512, 512), bool)
        ellipse[46:55, 100:121] = mask(LIMB_20)
        np.testing.assert_array_equal(limb, ellipse & ~dots)
        assert picture[50, 110].tolist() == [153, 102, 0]

    def test_sdpose_limbs_have_the_full_color(self):
        picture = drawn({2: (100, 50), 3: (120, 50)}, "sdpose")
        assert picture[50, 110].tolist() == [255, 170, 0]

    def test_musepose_limbs_are_thin_when_short(self):
        """40 px long at the 1024 canvas: half-width 5, 11 px thick there, 8 after shrinking."""
        both = {2: (400, 400), 3: (440, 400)}
        picture = draw_poses(poses_of(both, (1024, 1024)), "musepose", (768, 768))[0]
        column = picture[:, 315].any(axis=-1)
        assert 8 <= column.sum() <= 10
        short = {2: (400, 400), 3: (420, 400)}
        thin = draw_poses(poses_of(short, (1024, 1024)), "musepose", (768, 768))[0]
        wide = draw_poses(poses_of(both, (1024, 1024)), "musepose", (768, 768))[0]
        assert thin[:, 307].any(axis=-1).sum() < wide[:, 315].any(axis=-1).sum()

    def test_later_limbs_cover_earlier_ones_and_joints_cover_limbs(self):
        """Thigh (8, 9), color 7, crosses shin (9, 10) drawn after it; all in one place."""
        picture = drawn({8: (100, 100), 9: (160, 100), 10: (102, 100)}, "moore")
        assert picture[100, 130].tolist() == [0, 153, 102]  # color 8 = 00FFAA at 60 percent
        assert picture[100, 160].tolist() == [0, 255, 255]  # joint 9

    def test_a_limb_needs_both_joints(self):
        assert only(mask(DOT_4), 96, 46, drawn({3: (100, 50)}, "moore"))


class TestHandsAndFace:
    BONE = {LEFT_HAND.start: (100, 50), LEFT_HAND.start + 1: (140, 50)}  # noqa: RUF012

    def test_a_bone_is_three_pixels_and_red_first(self):
        picture = drawn(self.BONE, "moore")
        np.testing.assert_array_equal(
            colored(picture, (255, 0, 0))[48:53, 120], [False, True, True, True, False]
        )
        assert picture[50, 100].tolist() == [0, 0, 255]

    def test_bone_colors_are_twenty_hues(self):
        """Bone 1 has the hue 18 degrees: 0.3 of full green, 76.5, rounded or truncated."""
        bone = {LEFT_HAND.start + 1: (100, 50), LEFT_HAND.start + 2: (140, 50)}
        assert drawn(bone, "moore")[50, 120].tolist() in ([255, 76, 0], [255, 77, 0])
        assert drawn(bone, "sdpose")[50, 120].tolist() == [255, 76, 0]

    def test_the_line_has_round_ends(self):
        from animate_anyone_core.pose.drawing import import_cv2

        canvas = np.zeros((3, 10), np.uint8)
        import_cv2().line(canvas, (1, 1), (8, 1), 1, thickness=2)
        np.testing.assert_array_equal(canvas.astype(bool), mask(BONE_7))

    def test_the_face_lies_on_hands_and_hands_on_bodies(self):
        same = {0: (100, 50), LEFT_HAND.start: (100, 50)}
        assert drawn(same, "moore")[50, 100].tolist() == [0, 0, 255]
        same[FACE.start] = (100, 50)
        assert drawn(same, "moore")[50, 100].tolist() == [255, 255, 255]

    def test_first_row_and_column_hold_no_hands_and_faces(self):
        edge = {LEFT_HAND.start: (0.9, 50), FACE.start: (50, 0.9)}
        assert not drawn(edge, "moore").any()
        assert drawn({4: (0.9, 50)}, "moore").any()

    def test_parts_can_be_switched(self):
        all_parts = {4: (50, 50), LEFT_HAND.start: (100, 50), FACE.start: (150, 50), 18: (200, 50)}

        def seen(style, **parts):
            return drawn(all_parts, style, parts=Parts(**parts))[50, 50:201:50].any(axis=-1)

        assert seen("moore").tolist() == [True, True, True, False]
        assert seen("moore", body=False).tolist() == [False, True, True, False]
        assert seen("moore", hands=False, face=False, feet=True).tolist() == [True, False, False, 1]


class TestMusePose:
    def test_red_and_blue_are_exchanged(self):
        """Neck to right shoulder is red for Moore, blue for MusePose."""
        limb = {1: (400, 400), 2: (700, 400)}
        assert drawn(limb, "musepose")[400, 550].tolist() == [0, 0, 153]
        assert drawn({1: (100, 100), 2: (300, 100)}, "moore")[100, 200].tolist() == [153, 0, 0]

    def test_hand_joints_are_red_then(self):
        assert drawn({LEFT_HAND.start: (400, 400)}, "musepose")[400, 400].tolist() == [255, 0, 0]

    def test_no_face_unless_asked_for(self):
        face = {FACE.start: (400, 400)}
        assert not drawn(face, "musepose").any()
        assert drawn(face, "musepose", parts=Parts(face=True)).any()


class TestSeveralPeople:
    def test_openpose_finishes_one_person_before_the_next(self):
        limb = {2: (100, 50), 3: (140, 50)}
        dot = {0: (120, 50)}
        assert drawn([dot, limb], "openpose")[50, 120].tolist() == [153, 102, 0]
        assert drawn([limb, dot], "openpose")[50, 120].tolist() == [255, 0, 0]

    def test_moore_draws_all_limbs_before_any_joint(self):
        limb = {2: (100, 50), 3: (140, 50)}
        dot = {0: (120, 50)}
        assert drawn([dot, limb], "moore", people="all")[50, 120].tolist() == [255, 0, 0]

    def test_moore_draws_the_best_person_of_the_clip(self):
        weak, strong = {0: (100, 50, 0.4)}, {0: (200, 50, 0.9)}
        picture = drawn([weak, strong], "moore")
        assert picture[50, [100, 200]].any(axis=-1).tolist() == [False, True]

    @pytest.mark.parametrize("style", STYLES)
    def test_the_order_of_people_who_do_not_touch_changes_nothing(self, style):
        first, second = {2: (100, 50), 3: (140, 50)}, {2: (100, 250), 3: (140, 290)}
        np.testing.assert_array_equal(
            drawn([first, second], style, people="all"), drawn([second, first], style, people="all")
        )


class TestSizes:
    def test_a_large_picture_gets_wide_strokes(self):
        """Drawn at 512, resized to 1024: a dot of 9 pixels becomes about 18."""
        poses = poses_of({2: (500, 500)}, (1024, 1024))
        moore = draw_poses(poses, "moore")[0]
        openpose = draw_poses(poses, "openpose")[0]
        assert 16 <= moore[500].any(axis=-1).sum() <= 20
        assert openpose[500].any(axis=-1).sum() == 9

    def test_the_result_has_the_wanted_size(self):
        poses = poses_of({2: (100, 100)}, (333, 517))
        for style in STYLES:
            assert draw_poses(poses, style).shape == (1, 517, 333, 3)
            assert draw_poses(poses, style, (96, 64)).shape == (1, 64, 96, 3)

    @pytest.mark.parametrize(
        ("fit", "joint", "place"),
        [
            ("pad", (40, 500), (240, 250)),
            ("crop", (40, 400), (64, 90)),
            ("stretch", (40, 500), (64, 250)),
        ],
    )
    def test_a_tall_canvas_in_a_wide_picture(self, fit, joint, place):
        """400x1000 in 640x500: pad halves and shifts right by 220; crop is 1.6 and up by 550."""
        picture = draw_poses(poses_of({2: joint}, (400, 1000)), "openpose", (640, 500), fit=fit)[0]
        rows, columns = np.nonzero(picture.any(axis=-1))
        assert (columns.mean(), rows.mean()) == place

    def test_frames_one_by_one_equal_the_stack(self):
        rng = np.random.default_rng(0)
        points = rng.uniform(0, 500, (4, 1, NUM_KEYPOINTS, 2))
        poses = PoseSequence(points, np.full(points.shape[:3], 0.9), 500, 500)
        steps = []
        for style in STYLES:
            steps.clear()
            stack = draw_poses(poses, style, on_step=lambda *step: steps.append(step))
            np.testing.assert_array_equal(stack, np.stack(list(draw_frames(poses, style))))
            assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]

    def test_nobody_and_nothing(self):
        for shape in ((0, 1), (2, 0), (2, 1)):
            points = np.zeros((*shape, NUM_KEYPOINTS, 2))
            poses = PoseSequence(points, np.zeros(points.shape[:3]), 64, 48)
            for style in STYLES:
                pictures = draw_poses(poses, style)
                assert pictures.shape == (shape[0], 48, 64, 3)
                assert not pictures.any()

    def test_points_far_outside_are_survived(self):
        drawn({2: (-1e12, 50), 3: (1e15, 1e15), LEFT_HAND.start: (1e300, 5)}, "moore")


class TestErrors:
    def test_unknown_names_list_the_known_ones(self):
        poses = poses_of({})
        with pytest.raises(SettingsError) as error:
            draw_poses(poses, "champ")
        assert str(error.value) == (
            "Unknown skeleton style 'champ'. "
            "Known styles: moore, musepose, openpose, dwpose, sdpose, aniportrait."
        )
        with pytest.raises(SettingsError, match=r"Unknown fit 'x'\. Known: pad, crop, stretch\."):
            draw_poses(poses, fit="x")
        with pytest.raises(SettingsError, match="Unknown choice of people 'x'"):
            draw_poses(poses, people="x")
        with pytest.raises(SettingsError, match="at least 1x1 pixels, got 0x5"):
            draw_poses(poses, size=(0, 5))

    def test_without_opencv_the_message_says_what_to_install(self, monkeypatch):
        real = builtins.__import__

        def no_cv2(name, *args, **kwargs):
            if name == "cv2":
                raise ImportError("No module named 'cv2'")
            return real(name, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", no_cv2)
        with pytest.raises(MissingDependencyError) as error:
            draw_poses(poses_of({}))
        assert "pip install opencv-python`, or `pip install opencv-python-headless`" in str(
            error.value
        )


def test_a_frame_costs_less_than_sorting_its_pixels():
    """Measured against a sort on the same machine; `benchmark retarget` prints seconds."""
    rng = np.random.default_rng(0)
    points = np.repeat(rng.uniform(50, 700, (1, 1, NUM_KEYPOINTS, 2)), 10, axis=0)
    poses = PoseSequence(points, np.full(points.shape[:3], 0.9), 768, 1024)
    pixels = rng.random(768 * 1024)

    def seconds(work):
        start = time.process_time()
        work()
        return time.process_time() - start

    drawing = min(seconds(lambda: list(draw_frames(poses, "moore"))) for _ in range(3)) / 10
    assert drawing < min(seconds(lambda: np.sort(pixels)) for _ in range(5))
