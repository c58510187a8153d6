"""The whole detection on drawn people, with stand-ins for the networks."""

import numpy as np
import pytest

from animate_anyone_core.errors import (
    CheckpointError,
    SettingsError,
    ShapeError,
    UnknownCheckpointError,
)
from animate_anyone_core.pose.detection import PoseDetector, load_pose_detector
from animate_anyone_core.pose.detection_report import DetectionReport, frame_ranges
from animate_anyone_core.pose.detection_run import torso_color
from animate_anyone_core.pose.keypoint_layouts import LAYOUTS

SIZE = (180, 320)  # height, width
OURS, THEIRS = list(LAYOUTS[133]), list(LAYOUTS[133].values())


@pytest.fixture(scope="module")
def detector(pose_files):
    return load_pose_detector(
        pose_files / "yolox_l.onnx", pose_files / "dw-ll_ucoco_384.onnx", "cpu"
    )


@pytest.fixture(scope="module")
def fast_files(standins, tmp_path_factory):
    """Small networks, for long clips."""
    folder = tmp_path_factory.mktemp("fast")
    standins.make_detector(folder / "det.onnx", size=(320, 320))
    standins.make_estimator(folder / "pose.onnx", size=(192, 144), num_keypoints=17)
    return folder / "det.onnx", folder / "pose.onnx"


@pytest.fixture(scope="module")
def fast(fast_files):
    return load_pose_detector(*fast_files, "cpu")


def a_person(standins, left=30, key=0):
    return standins.DrawnPerson((left, 20, left + 120, 160), key)


def a_figure(standins, left, key=0, top=20):
    """A standing figure with the 17 joints of COCO."""
    box = (left, top, left + 70, top + 140)
    return standins.DrawnPerson(box, key, standins.standing_joints(box))


def clip(standins, walks, frames, size=SIZE):
    """People (person, pixels per frame) who walk to the right; returns pictures and truth."""
    people = [[p.moved(speed * f, 0) for p, speed in walks] for f in range(frames)]
    return np.stack([standins.draw_people(size, group) for group in people]), people


def mean_error(poses, slot, people):
    """Mean distance over all frames of a slot from a drawn person, in pixels."""
    joints = [k for k in OURS if LAYOUTS[133][k] in people[0].joints]
    wanted = np.array([[p.joints[LAYOUTS[133][k]] for k in joints] for p in people])
    return np.linalg.norm(poses.points[:, slot, joints] - wanted, axis=-1).mean()


class TestAccuracy:
    def test_all_keypoints_of_a_person_within_half_a_pixel(self, detector, standins):
        pictures, people = clip(standins, [(a_person(standins), 3)], 5)
        poses, report = detector.detect(pictures, fps=30.0)
        assert mean_error(poses, 0, [p[0] for p in people]) <= 0.5
        assert poses.scores.shape == (5, 1, 134)
        assert (poses.scores > 0.3).all()
        assert (poses.width, poses.height, poses.fps) == (320, 180, 30.0)
        assert report.frames_without_person == ()

    def test_exchanged_channels_find_nobody(self, detector, standins):
        pictures, _ = clip(standins, [(a_person(standins), 3)], 2)
        poses, report = detector.detect(pictures[..., ::-1])
        assert (poses.scores == 0).all()
        assert report.frames_without_person == (0, 1)

    def test_two_people_keep_their_slots(self, detector, standins):
        walks = [(a_person(standins, 10), 1), (a_person(standins, 180, key=1), -1)]
        pictures, people = clip(standins, walks, 5)
        poses, report = detector.detect(pictures)
        assert report.num_persons == poses.num_persons == 2
        errors = [mean_error(poses, slot, [p[k] for p in people]) for slot, k in ((0, 0), (1, 1))]
        exchanged = [
            mean_error(poses, slot, [p[k] for p in people]) for slot, k in ((0, 1), (1, 0))
        ]
        assert max(errors) <= 0.5 or max(exchanged) <= 0.5

    def test_a_whole_picture_without_a_detector(self, pose_files, standins):
        detector = load_pose_detector(None, pose_files / "dw-ll_ucoco_384.onnx", "cpu")
        pictures, people = clip(standins, [(a_person(standins), 3)], 3, size=(180, 160))
        poses, report = detector.detect(pictures)
        assert mean_error(poses, 0, [p[0] for p in people]) <= 0.5
        assert report.detector_calls == 0
        assert "the whole picture is taken as one person" in str(report)

    def test_other_networks_scores_are_brought_to_ours(self, fast, standins):
        """With keypoints seen from 0.475 on, the stand-in's 0.95 counts as 0.6."""
        pictures, _ = clip(standins, [(a_figure(standins, 30), 0)], 1)
        poses, _ = fast.detect(pictures, seen_score=0.475)
        assert poses.scores[0, 0, 0] == pytest.approx(0.95 * 0.3 / 0.475, rel=1e-3)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_the_torchscript_pair_needs_no_onnxruntime(standins, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    files = standins.make_torchscript_pair(tmp_path / "a.pt", tmp_path / "b.pt")
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    detector = load_pose_detector(*files, "cpu", allow_torchscript=True)
    pictures, people = clip(standins, [(a_person(standins), 3)], 7)
    poses, report = detector.detect(pictures)
    assert mean_error(poses, 0, [p[0] for p in people]) <= 0.5
    assert report.estimator_calls == 2
    assert "b.pt (simcc) on torch cpu" in str(report)


def test_half_precision_pair(standins, tmp_path):
    detector = load_pose_detector(
        standins.make_detector(tmp_path / "a.onnx", dtype="float16"),
        standins.make_estimator(tmp_path / "b.onnx", dtype="float16"),
        "cpu",
    )
    pictures, people = clip(standins, [(a_person(standins), 3)], 3)
    poses, _ = detector.detect(pictures)
    assert mean_error(poses, 0, [p[0] for p in people]) <= 0.5


class TestSparseDetection:
    @pytest.mark.slow
    def test_a_walk_of_300_frames_needs_a_detector_run_every_eighth(self, fast, standins):
        frames = 300

        def stream():
            for f in range(frames):
                person = a_figure(standins, 10).moved(f * 2 // 3, 0)
                yield standins.draw_people(SIZE, [person])

        steps = []
        poses, report = fast.detect(
            stream(), num_frames=frames, on_step=lambda *step: steps.append(step)
        )
        truth = [a_figure(standins, 10).moved(f * 2 // 3, 0) for f in range(frames)]
        assert mean_error(poses, 0, truth) <= 0.5
        assert report.num_frames == frames
        # 0, 8, ..., 296 and the last one
        assert report.detector_calls == 39
        assert report.estimator_calls == 38
        assert steps[-1] == (300, 300)
        assert [done for done, _ in steps] == sorted(done for done, _ in steps)
        assert len(steps) == 39 + 38

    @pytest.mark.parametrize(("interval", "calls"), [(1, 17), (4, 5), (8, 3), (100, 2)])
    def test_calls_follow_the_interval(self, fast, standins, interval, calls):
        pictures, people = clip(standins, [(a_figure(standins, 10), 1)], 17)
        poses, report = fast.detect(pictures, interval=interval)
        assert report.detector_calls == calls
        assert mean_error(poses, 0, [p[0] for p in people]) <= 0.5

    def test_interpolated_boxes_give_the_same_poses_as_detected_ones(self, fast, standins):
        pictures, _ = clip(standins, [(a_figure(standins, 10), 3)], 17)
        sparse, _ = fast.detect(pictures, interval=8)
        dense, _ = fast.detect(pictures, interval=1)
        assert np.abs(sparse.points - dense.points).max() < 1.0

    def test_somebody_who_enters_is_found_in_the_right_frame(self, fast, standins):
        people = [[a_figure(standins, 10)]] * 5 + [
            [a_figure(standins, 10), a_figure(standins, 200, key=1)]
        ] * 4
        pictures = np.stack([standins.draw_people(SIZE, group) for group in people])
        poses, report = fast.detect(pictures, interval=8)
        present = (poses.scores > 0).any(axis=-1)
        assert sorted(present.sum(axis=0).tolist()) == [4, 9]
        assert present[4:6].sum(axis=1).tolist() == [1, 2]
        assert report.detector_calls == 5  # 0, 8, then 4, 6, 5

    def test_a_jump_between_two_looks_is_noticed_by_the_joints(self, fast, standins):
        """Somebody jumps aside and back between two looked-at frames with the same box."""
        people = [a_figure(standins, 10)] * 9
        people[3:6] = [a_figure(standins, 150)] * 3
        pictures = np.stack([standins.draw_people(SIZE, [person]) for person in people])
        poses, report = fast.detect(pictures, interval=8)
        slots = (poses.scores > 0.3).any(axis=-1)
        assert slots.any(axis=1).all()
        found = np.array([poses.points[f, slots[f].argmax(), 0, 0] for f in range(9)])
        np.testing.assert_allclose(found, [p.joints[0][0] for p in people], atol=1.0)
        assert report.detector_calls == 2 + 3

    def test_cancelling_stops_at_the_next_run(self, fast, standins):
        class CancelledError(Exception):
            pass

        calls = []

        def cancel(done, total):
            calls.append(done)
            if len(calls) == 3:
                raise CancelledError

        pictures, _ = clip(standins, [(a_figure(standins, 10), 0)], 40)
        before = fast._calls()
        with pytest.raises(CancelledError):
            fast.detect(pictures, on_step=cancel)
        assert sum(fast._calls()) - sum(before) == 3
        poses, _ = fast.detect(pictures[:2])  # and it still works
        assert (poses.scores[:, 0, 0] > 0.3).all()


class TestNobody:
    def test_empty_frames_are_reported_and_never_raise(self, fast, standins):
        empty = standins.draw_people(SIZE, [])
        person = standins.draw_people(SIZE, [a_figure(standins, 10)])
        pictures = np.stack([empty] * 3 + [person] * 10 + [empty] * 2)
        poses, report = fast.detect(pictures)
        assert report.frames_without_person == (0, 1, 2, 13, 14)
        assert poses.num_persons == 1
        assert "Nobody found in 5 of 15 frames: 0-2, 13-14." in str(report)

    def test_a_clip_without_anybody(self, fast, standins):
        pictures = np.stack([standins.draw_people(SIZE, [])] * 50)
        poses, report = fast.detect(pictures)
        assert poses.scores.shape == (50, 1, 134)
        assert (poses.scores == 0).all()
        assert report.num_persons == 0
        assert report.estimator_calls == 0

    def test_a_clip_without_frames(self, fast):
        poses, report = fast.detect(np.zeros((0, 48, 64, 3), np.uint8))
        assert (poses.num_frames, poses.width, poses.height) == (0, 64, 48)
        assert fast.detect(iter([]))[0].num_frames == 0
        assert report.num_frames == 0

    def test_pictures_of_a_few_pixels(self, fast):
        for size in ((1, 1), (1, 300), (300, 1)):
            poses, _ = fast.detect(np.zeros((2, *size, 3), np.uint8))
            assert (poses.scores == 0).all()

    def test_a_person_who_is_lost_for_a_moment_is_the_same_afterwards(self, fast, standins):
        figure = [a_figure(standins, 10).moved(2 * f, 0) for f in range(40)]
        pictures = np.stack(
            [standins.draw_people(SIZE, [] if 15 <= f < 25 else [figure[f]]) for f in range(40)]
        )
        poses, report = fast.detect(pictures)
        assert poses.num_persons == 1
        assert report.frames_without_person == tuple(range(15, 25))

    def test_two_people_who_cross_keep_their_identity(self, fast, standins):
        """Around the crossing one covers the other and the stand-in mixes their joints; before and
        after, a slot must show the same person."""
        first = [a_figure(standins, 20, key=0).moved(8 * f, 0) for f in range(46)]
        second = [a_figure(standins, 390, key=1, top=30).moved(-8 * f, 0) for f in range(46)]
        pictures = np.stack(
            [standins.draw_people((180, 480), [b, a]) for a, b in zip(first, second, strict=True)]
        )
        poses, _ = fast.detect(pictures, interval=4)
        apart = [f for f in range(46) if abs(first[f].box[0] - second[f].box[0]) > 130]
        assert min(apart) == 0
        assert max(apart) == 45
        found = poses.points[apart, :2, 0, 0]
        truth = np.array([[walk[f].joints[0][0] for walk in (first, second)] for f in apart])
        errors = [np.abs(found - order).max() for order in (truth, truth[:, ::-1])]
        assert min(errors) < 1.0


class TestReport:
    def test_it_reads_well(self):
        report = DetectionReport(
            num_frames=100,
            num_persons=2,
            frames_without_person=(3, 4, 5, 9),
            detector="yolox_l.onnx (yolox) on CUDAExecutionProvider",
            estimator="dw.onnx (simcc) on CPUExecutionProvider",
            detector_calls=14,
            estimator_calls=26,
            warnings=("dw.onnx was to run on cuda but runs on CPUExecutionProvider.",),
        )
        assert str(report) == (
            "100 frames, 2 persons.\n"
            "Boxes: yolox_l.onnx (yolox) on CUDAExecutionProvider, 14 runs.\n"
            "Keypoints: dw.onnx (simcc) on CPUExecutionProvider, 26 runs.\n"
            "Nobody found in 4 of 100 frames: 3-5, 9.\n"
            "Warning: dw.onnx was to run on cuda but runs on CPUExecutionProvider."
        )

    def test_a_device_that_could_not_be_had_is_a_warning(self, fast_files):
        import onnxruntime

        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            pytest.skip("this machine has CUDA")
        detector = load_pose_detector(*fast_files, "cuda")
        _, report = detector.detect(np.zeros((1, 8, 8, 3), np.uint8))
        assert report.warnings == (
            "det.onnx was to run on cuda but runs on CPUExecutionProvider.",
            "pose.onnx was to run on cuda but runs on CPUExecutionProvider.",
        )

    def test_frame_ranges(self):
        assert frame_ranges([]) == ""
        assert frame_ranges([5, 3, 4, 9]) == "3-5, 9"
        assert frame_ranges(np.array([0, 1, 2, 7, 9, 10])) == "0-2, 7, 9-10"


class TestTorsoColor:
    def test_it_is_the_mean_of_the_clothes(self):
        picture = np.zeros((100, 100, 3), np.uint8)
        picture[20:80, 30:70] = (200, 100, 50)
        points, scores = np.zeros((134, 2)), np.zeros(134)
        points[[2, 5, 8, 11]] = [(30, 20), (70, 20), (30, 80), (70, 80)]
        scores[[2, 5, 8, 11]] = 0.9
        assert torso_color(picture, points, scores).tolist() == [200, 100, 50]

    def test_it_is_unknown_without_a_hip_and_safe_outside_the_picture(self):
        picture = np.zeros((10, 10, 3), np.uint8)
        points, scores = np.full((134, 2), 1e6), np.full(134, 0.9)
        assert np.isfinite(torso_color(picture, points, scores)).all()
        scores[8] = 0.1
        assert np.isnan(torso_color(picture, points, scores)).all()


class TestErrors:
    def test_files_in_each_others_place(self, pose_files):
        with pytest.raises(UnknownCheckpointError) as error:
            load_pose_detector(
                pose_files / "dw-ll_ucoco_384.onnx", pose_files / "dw-ll_ucoco_384.onnx", "cpu"
            )
        assert str(error.value).startswith(
            "dw-ll_ucoco_384.onnx is not a person detector we know: for a 288x384 picture it "
            "returns (1, 133, 576), (1, 133, 768). Known detectors: YOLOX"
        )
        assert str(error.value).endswith("If it is a pose estimator, choose it as the estimator.")
        with pytest.raises(UnknownCheckpointError) as error:
            load_pose_detector(pose_files / "yolox_l.onnx", pose_files / "yolox_l.onnx", "cpu")
        assert str(error.value).startswith("yolox_l.onnx is not a pose estimator we know")
        assert str(error.value).endswith("If it is a person detector, choose it as the detector.")

    def test_a_missing_file(self, pose_files, tmp_path):
        with pytest.raises(CheckpointError, match="There is no file"):
            load_pose_detector(tmp_path / "x.onnx", pose_files / "dw-ll_ucoco_384.onnx")

    def test_an_unknown_kind(self):
        with pytest.raises(SettingsError) as error:
            load_pose_detector("x", "y", detector_kind="ssd")
        assert str(error.value) == (
            "Unknown kind of detector 'ssd'. "
            "Known: yolox, nms-inside, yolov8, yolov10, rt-detr, rt-detr-logits, yolo-nas, rtmdet."
        )

    @pytest.mark.parametrize(
        ("frames", "message"),
        [
            (
                np.zeros((2, 8, 9, 3), np.float32),
                "Frames must be RGB pictures of 8 bits, (height, width, 3) uint8; frame 0 is "
                "(8, 9, 3) float32.",
            ),
            (
                np.zeros((2, 8, 9, 4), np.uint8),
                "Frames must be RGB pictures of 8 bits, (height, width, 3) uint8; frame 0 is "
                "(8, 9, 4) uint8.",
            ),
            (
                [np.zeros((8, 9, 3), np.uint8), np.zeros((9, 8, 3), np.uint8)],
                "All frames must have one size: frame 1 is 8x9, the first is 9x8.",
            ),
        ],
    )
    def test_frames(self, fast, frames, message):
        with pytest.raises(ShapeError) as error:
            fast.detect(frames)
        assert str(error.value) == message

    @pytest.mark.parametrize("settings", [{"interval": 0}, {"batch_size": 0}, {"seen_score": 0}])
    def test_settings(self, fast, settings):
        with pytest.raises(SettingsError, match="must be at least 1 and the seen score above 0"):
            fast.detect(np.zeros((0, 8, 8, 3), np.uint8), **settings)


def test_releasing_and_detecting_again(fast, standins):
    assert isinstance(fast, PoseDetector)
    pictures, _ = clip(standins, [(a_figure(standins, 10), 0)], 2)
    first, _ = fast.detect(pictures)
    fast.release()
    again, _ = fast.detect(pictures)
    np.testing.assert_array_equal(first.points, again.points)
