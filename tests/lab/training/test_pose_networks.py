"""The pose networks' recipe: examples against the readers of the published files, and the export."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from animate_anyone_core.lab.training.dancer_pictures import DancerPictures, render_pictures
from animate_anyone_core.lab.training.pose_architectures import (
    CROP_SIZE,
    DetectorNetwork,
    EstimatorNetwork,
)
from animate_anyone_core.lab.training.pose_examples import (
    mark_person,
    person_boxes,
    random_boxes,
    random_crops,
)
from animate_anyone_core.lab.training.pose_networks import (
    PoseNetworksConfig,
    detector_loss,
    estimator_loss,
    train_pose_networks,
)
from animate_anyone_core.pose.detection import load_pose_detector
from animate_anyone_core.pose.detector_models import find_detector
from animate_anyone_core.pose.estimator_models import decode_simcc
from animate_anyone_core.pose.skeleton import NUM_KEYPOINTS

TINY = PoseNetworksConfig(
    picture_size=64,
    num_characters=3,
    per_character=2,
    detector_steps=3,
    estimator_steps=3,
    batch_size=4,
)


@pytest.fixture(scope="module")
def pictures():
    return render_pictures("train", 3, 2, 64, 64)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pose")
    return *train_pose_networks(TINY, folder), folder


class TestExamples:
    def test_boxes_enclose_all_joints_that_can_be_seen(self, pictures):
        boxes = person_boxes(pictures)[:, None]
        body = pictures.points[:, 2:14]
        assert (body > boxes[..., :2] - 2).all()
        assert (body < boxes[..., 2:] + 2).all()

    def test_the_yolox_reader_reads_back_the_box_that_was_marked(self):
        box = np.array([130.0, 60.0, 290.0, 600.0])
        target, person = np.zeros((4, 20, 20), np.float32), np.zeros((20, 20), np.float32)
        mark_person(target, person, box)
        rows = np.zeros((1, 8400, 85), np.float32)
        rows[0, 8000:, :4] = target.reshape(4, -1).T
        rows[0, 8000:, 4] = person.reshape(-1)
        rows[0, :, 5] = 1.0
        model = find_detector("x", [rows.shape], (640, 640))
        boxes, scores = model.decode([rows], (640, 640))
        assert (scores > 0.5).sum() >= 1
        assert boxes[scores > 0.5] == pytest.approx(
            np.broadcast_to(box, boxes[scores > 0.5].shape), abs=1e-2
        )

    def test_pictures_for_the_detector_are_blue_first_on_grey(self, pictures):
        boxes = person_boxes(pictures)
        examples = random_boxes(pictures, boxes, 8, np.random.default_rng(3))
        assert examples.pictures.shape == (8, 3, 160, 160)
        assert (examples.pictures[:, :, -1, -1] == 114).all()
        assert examples.person.sum() > 0

    def test_points_are_where_the_picture_shows_them(self):
        """A bright spot in a dark picture lies in the crop where its point is said to be."""
        frames = np.zeros((1, 96, 64, 3), np.uint8)
        frames[0, 59:62, 19:22] = 255
        points = np.full((1, NUM_KEYPOINTS, 2), (20.5, 60.5))
        pictures = DancerPictures(
            frames, frames[..., 0], points, np.ones((1, NUM_KEYPOINTS)), np.zeros(1)
        )
        boxes = np.array([[8.0, 12.0, 50.0, 88.0]])
        examples = random_crops(pictures, boxes, 20, np.random.default_rng(0))
        for crop, points, seen in zip(*examples, strict=True):
            brightness = crop.sum(dim=0) - crop.sum(dim=0).min()
            bright = torch.where(brightness > 0.5 * brightness.max(), brightness, 0)
            y, x = (bright.sum(dim=axis) for axis in (1, 0))
            x, y = ((v * (torch.arange(len(v)) + 0.5)).sum() / v.sum() / len(v) for v in (x, y))
            assert seen.all()
            assert points[0].numpy() == pytest.approx([float(x), float(y)], abs=0.012)


class TestNetworks:
    def test_simcc_peaks_are_read_back_exactly(self):
        network = EstimatorNetwork().eval()
        crops = torch.randn(2, 3, *CROP_SIZE)
        with torch.no_grad():
            curves = [curve.numpy() for curve in network(crops)]
            small = torch.nn.functional.avg_pool2d(crops, 4)
            points, logits, _ = network.locate(small)
            seen = torch.sigmoid(logits) * torch.sigmoid(network.tell(small))[:, None]
        found, scores = decode_simcc(curves, CROP_SIZE)
        assert found == pytest.approx(points.numpy() * np.array(CROP_SIZE[::-1]), abs=0.05)
        assert scores == pytest.approx(seen.numpy(), abs=0.02)

    def test_the_detector_has_the_published_shape_and_sees_nobody_at_first(self):
        with torch.no_grad():
            rows = DetectorNetwork().eval()(torch.full((1, 3, 640, 640), 114.0))
        assert rows.shape == (1, 8400, 85)
        assert (rows[..., 4] * rows[..., 5]).max() < 0.3

    @pytest.mark.slow
    def test_both_learn(self, pictures):
        torch.manual_seed(0)
        boxes, rng = person_boxes(pictures), np.random.default_rng(0)
        for network, loss_of, examples in (
            (DetectorNetwork(16), detector_loss, random_boxes(pictures, boxes, 6, rng)),
            (
                EstimatorNetwork((8, 8, 16, 16)),
                estimator_loss,
                random_crops(pictures, boxes, 6, rng),
            ),
        ):
            optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
            losses = []
            for _ in range(15):
                loss = loss_of(network, examples)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            assert losses[-1] < 0.8 * losses[0]


class TestFiles:
    @pytest.mark.slow
    def test_the_files_are_read_as_the_published_ones(self, trained):
        detector = load_pose_detector(
            trained[2] / "detector.onnx", trained[2] / "estimator.onnx", "cpu"
        )
        assert detector.detector.model.kind == "yolox"
        assert detector.estimator.model.kind == "simcc"
        assert detector.estimator.fixed_batch is None

    @pytest.mark.slow
    def test_onnx_computes_what_torch_computes(self, trained):
        crops = torch.randn(3, 3, *CROP_SIZE, generator=torch.Generator().manual_seed(0))
        session = onnxruntime.InferenceSession(trained[2] / "estimator.onnx")
        for ours, theirs in zip(
            trained[1](crops), session.run(None, {"input": crops.numpy()}), strict=True
        ):
            assert ours.detach().numpy() == pytest.approx(theirs, abs=0.03)

    @pytest.mark.slow
    def test_weights_are_stored_in_half_precision(self, trained):
        model = onnx.load(trained[2] / "estimator.onnx")
        large = [w for w in model.graph.initializer if np.prod(w.dims) >= 64]
        assert large
        assert all(w.data_type != onnx.TensorProto.FLOAT for w in large)
