"""Pose trust: drawn dancers pass, other things do not, and a folder of footage is looked at."""

import json

import numpy as np
import pytest
from PIL import Image

from animate_anyone_core.__main__ import main
from animate_anyone_core.lab.benchmarks.pose_trust import footage, measure_trust, strangers
from animate_anyone_core.pose.detection_report import DetectionReport
from animate_anyone_core.pose.skeleton import NUM_KEYPOINTS, PoseSequence
from animate_anyone_core.video import write_video


class Reader:
    """Finds the scores that a frame's first pixel tells in hundredths; doubts what is blue."""

    def detect(self, frames, interval):
        scores = np.repeat(frames[:, None, :1, 0, 0] / 100, NUM_KEYPOINTS, axis=2)
        points = np.zeros((*scores.shape, 2))
        doubts = ("no",) if frames[0, 0, 0, 2] else ()
        return PoseSequence(points, scores, 8, 8, None, doubts), DetectionReport


def picture(score, blue=0):
    frame = np.zeros((1, 8, 8, 3), np.uint8)
    frame[..., 0], frame[..., 2] = score, blue
    return frame


def test_the_numbers_are_means_over_clips():
    clips = [picture(90), picture(50, blue=9), picture(0), picture(20)]
    trust = measure_trust(Reader(), iter(clips))
    assert trust == pytest.approx((4, 0.75, 0.4, 0.5, 1))


def test_footage_is_every_video_and_picture_of_a_folder(tmp_path):
    Image.new("RGB", (1024, 256)).save(tmp_path / "a.png")
    write_video(tmp_path / "b.mp4", np.zeros((10, 64, 32, 3), np.uint8), 12)
    (tmp_path / "c.txt").write_text("no picture")
    assert [clip.shape for clip in footage(tmp_path)] == [(1, 128, 512, 3), (2, 64, 32, 3)]


def test_strangers_differ():
    first, second = strangers(2)
    assert first.shape != second.shape or (first != second).any()


@pytest.mark.slow
def test_the_built_in_pair_is_quiet_about_strangers(tmp_path, capsys):
    out = tmp_path / "trust.json"
    assert main(["benchmark", "pose-trust", "--clips", "6", "--json", str(out)]) == 0
    assert "ok   every drawn dancer passes" in capsys.readouterr().out
    told = json.loads(out.read_text())
    assert told["drawn dancers"]["detected"] == 1
    assert told["made-up strangers"]["detected"] < told["drawn dancers"]["detected"]
