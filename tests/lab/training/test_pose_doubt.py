"""Doubt: it is learned beside what finds people, and changes nothing but scores."""

import json

import numpy as np
import onnxruntime
import pytest
import torch

from animate_anyone_core.checkpoints.builtin import built_in_pose_networks
from animate_anyone_core.errors import CheckpointError
from animate_anyone_core.lab.synthetic.strangers import make_stranger
from animate_anyone_core.lab.training.dancer_pictures import render_pictures
from animate_anyone_core.lab.training.doubt_examples import Gallery, known_crops, known_places
from animate_anyone_core.lab.training.onnx_export import read_onnx_weights
from animate_anyone_core.lab.training.pose_architectures import (
    CROP_SIZE,
    DetectorNetwork,
    EstimatorNetwork,
)
from animate_anyone_core.lab.training.pose_doubt import DoubtConfig, teach_doubt
from animate_anyone_core.lab.training.pose_examples import person_boxes
from animate_anyone_core.lab.training.pose_files import write_pose_networks
from animate_anyone_core.pose.detection import load_pose_detector

TINY = DoubtConfig(
    num_strangers=6,
    num_characters=4,
    picture_size=64,
    detector_steps=2,
    estimator_steps=2,
    batch_size=4,
)


@pytest.fixture
def gallery():
    strangers = [make_stranger(seed, 64, 64) for seed in range(6)]
    return Gallery([render_pictures("train", 3, 2, 64, 64)], strangers, np.random.default_rng(0))


def built_in():
    networks = DetectorNetwork(), EstimatorNetwork()
    for network, path in zip(networks, built_in_pose_networks(), strict=True):
        read_onnx_weights(network, path)
    return networks


class TestExamples:
    def test_crops_show_both_kinds(self, gallery):
        crops, known = known_crops(gallery, 24)
        assert crops.shape == (24, 3, 96, 72)
        assert set(known.tolist()) == {0.0, 1.0}

    def test_dancers_are_known_in_their_middle_and_count_nowhere_else(self, gallery):
        pictures, known, counts = known_places(gallery, 24)
        assert pictures.shape == (24, 3, 160, 160)
        assert known.shape == counts.shape == (24, 20, 20)
        assert 0 < known.sum() < 0.1 * known.numel()
        assert (counts[known == 1] == 1).all()
        assert (counts[known.flatten(1).sum(dim=1) == 0] == 1).all(), "strangers count everywhere"
        assert (counts == 0).any()

    def test_either_way_round_the_box_holds_the_dancer(self, gallery):
        for _ in range(20):
            frame, (left, top, right, bottom), _ = gallery.choose()
            height, width = frame.shape[:2]
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= height


class TestNetworks:
    def test_what_finds_people_stays_bit_for_bit(self):
        networks = built_in()
        before = [{n: p.clone() for n, p in net.state_dict().items()} for net in networks]
        teach_doubt(*networks, TINY)
        for network, old in zip(networks, before, strict=True):
            changed = {n for n, p in network.state_dict().items() if not torch.equal(p, old[n])}
            assert changed
            assert all(name.startswith("known.") for name in changed)

    @pytest.mark.slow
    def test_weights_come_back_from_the_files(self):
        """The read network computes what ONNX Runtime does with the file."""
        detector, estimator = (network.eval() for network in built_in())
        crops = torch.randn(2, 3, *CROP_SIZE, generator=torch.Generator().manual_seed(0))
        picture = 255 * torch.rand(1, 3, 640, 640, generator=torch.Generator().manual_seed(0))
        files = built_in_pose_networks()
        for network, path, given in zip(
            (detector, estimator), files, (picture, crops), strict=True
        ):
            session = onnxruntime.InferenceSession(path)
            theirs = session.run(None, {session.get_inputs()[0].name: given.numpy()})
            with torch.no_grad():
                ours = network(given)
            ours = ours if isinstance(ours, tuple) else (ours,)
            for mine, other in zip(ours, theirs, strict=True):
                assert mine.numpy() == pytest.approx(other, abs=1e-3)

    def test_the_files_of_another_network_are_refused(self):
        with pytest.raises(CheckpointError, match=r"detector.onnx does not hold the weights"):
            read_onnx_weights(EstimatorNetwork(), built_in_pose_networks()[0])

    @pytest.mark.slow
    def test_the_recipe_tells_what_was_before(self, tmp_path):
        networks = built_in()
        for _ in range(2):
            before = built_in_pose_networks()[0].parent / "training.json"
            write_pose_networks(*networks, tmp_path, "builtin-pose-doubt", TINY, before)
            told = json.loads((tmp_path / "training.json").read_text(encoding="utf-8"))
            assert told["recipe"] == "builtin-pose-doubt"
            assert told["num_strangers"] == 6
            assert told["before"]["recipe"] == "builtin-pose"


class TestBuiltIn:
    @pytest.mark.slow
    def test_dancers_are_known_and_most_strangers_are_not(self):
        """On a picture of a dancer nearly all is seen; of sixteen strangers most show nobody."""
        detector = load_pose_detector(*built_in_pose_networks(), "cpu")
        dancers = render_pictures("test", 8, 1, 128, 128, seed=3)
        assert len(person_boxes(dancers)) == 8

        def best(frame):
            return detector.detect(frame[None])[0].scores[0, :, :18].max()

        assert min(best(frame) for frame in dancers.frames) > 0.5
        strangers = [best(make_stranger(90_000_000 + seed, 128, 128).frame) for seed in range(16)]
        assert np.mean(np.array(strangers) < 0.3) >= 0.75
