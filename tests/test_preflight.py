"""Each warning appears exactly when it should: made-up dancers that are wrong on purpose."""

from dataclasses import replace

import numpy as np
import pytest

from animate_anyone_core.checkpoints.families import MOORE, MUSEPOSE
from animate_anyone_core.lab.synthetic.dancers import Dancer
from animate_anyone_core.lab.synthetic.motions import motion_from_seed, standing
from animate_anyone_core.pose.drawing import draw_poses
from animate_anyone_core.pose.skeleton import PoseSequence
from animate_anyone_core.preflight.check import check_run
from animate_anyone_core.preflight.planned_run import PlannedRun
from animate_anyone_core.sampling.windows import WindowSettings

FRAMES, SIZE = 24, (256, 384)
LEGS = [9, 10, 12, 13]


def poses_like(poses, points=None, scores=None, size=None):
    width, height = size or (poses.width, poses.height)
    points = poses.points if points is None else points
    return PoseSequence(points, poses.scores if scores is None else scores, width, height)


def all_seen(poses):
    """Made-up dancers turn and hide joints; here every joint is there."""
    return poses_like(poses, scores=np.ones_like(poses.scores))


@pytest.fixture(scope="module")
def clean():
    """A dancer, driven by its own dance, everything as it should be."""
    dancer = Dancer(3, *SIZE)
    driver = all_seen(dancer.render(motion_from_seed(1), FRAMES).poses)
    reference = all_seen(dancer.render(standing(), 1).poses)
    return PlannedRun(
        driver=driver,
        reference=reference,
        skeletons=draw_poses(driver, "moore"),
        picture_size=SIZE,
        reference_size=SIZE,
        pose_size=SIZE,
        num_poses=FRAMES,
        num_frames=FRAMES,
        profile=MOORE,
        windows=WindowSettings(context_frames=12, context_overlap=4),
        steps=20,
        guidance_scale=3.5,
        memory_needed=2 * 1024**3,
        memory_free=8 * 1024**3,
    )


def test_a_student_is_sampled_as_it_was_made_for(clean):
    student = replace(MOORE, distilled_steps=4, num_inference_steps=4, guidance_scale=1.0)
    wrong = check_run(replace(clean, profile=student))
    texts = [finding.text for finding in wrong.findings if finding.kind == "steps"]
    assert texts == [
        "These weights are a student of 4 steps without guidance; 20 steps and guidance 3.5 cost more "
        "or look worse. Set steps to 4 and cfg (--guidance) to 1."
    ]
    right = check_run(replace(clean, profile=student, steps=4, guidance_scale=1.0))
    assert not [finding for finding in right.findings if finding.kind == "steps"]


def scaled(poses, factor):
    """The body about its ground point, canvas kept."""
    ground = np.array([poses.width / 2, 0.93 * poses.height])
    return poses_like(poses, ground + factor * (poses.points - ground))


def hidden(poses, joints, frames=slice(None)):
    scores = poses.scores.copy()
    scores[frames][..., joints] = 0
    return poses_like(poses, scores=scores)


def twins(poses):
    """The same person twice."""
    return PoseSequence(
        np.concatenate([poses.points, poses.points + np.array([9.0, 0.0])], axis=1),
        np.concatenate([poses.scores, poses.scores], axis=1),
        poses.width,
        poses.height,
    )


def driven(run, driver):
    return replace(run, driver=driver, skeletons=draw_poses(driver, "moore"))


WRONG = {
    "scale up": ("scale", lambda r: driven(r, scaled(r.driver, 1.4))),
    "scale down": ("scale", lambda r: driven(r, scaled(r.driver, 0.7))),
    "driver down to the hips": ("half body", lambda r: driven(r, hidden(r.driver, LEGS))),
    "character down to the hips": (
        "half body",
        lambda r: replace(r, reference=hidden(r.reference, LEGS)),
    ),
    "an arm comes and goes": (
        "missing joints",
        lambda r: driven(r, hidden(r.driver, [3, 4], slice(0, 8))),
    ),
    "nobody for a while": (
        "nobody",
        lambda r: driven(r, hidden(r.driver, slice(None), slice(5, 9))),
    ),
    "nobody at all": ("nobody", lambda r: driven(r, hidden(r.driver, slice(None)))),
    "two dancers": ("persons", lambda r: replace(r, driver=twins(r.driver))),
    "two characters": ("persons", lambda r: replace(r, reference=twins(r.reference))),
    "other size": ("size", lambda r: replace(r, pose_size=(256, 320))),
    "not a multiple of 8": (
        "size",
        lambda r: replace(r, reference_size=None, skeletons=r.skeletons[:, :-1]),
    ),
    "fewer poses": ("frames", lambda r: replace(r, num_frames=FRAMES + 4)),
    "keypoints of another clip": (
        "frames",
        lambda r: replace(r, driver=_cut(r.driver, 20), num_frames=None),
    ),
    "another shape": (
        "shape",
        lambda r: replace(r, reference_size=(384, 384), pose_size=None, picture_size=None),
    ),
    "a wide picture": ("shape", lambda r: replace(r, picture_size=(640, 480))),
    "a small picture": ("picture", lambda r: replace(r, picture_size=(128, 192))),
    "wrong style": ("style", lambda r: replace(r, profile=MUSEPOSE)),
    "wrong style the other way": (
        "style",
        lambda r: replace(r, skeletons=draw_poses(r.driver, "musepose")),
    ),
    "the video itself": (
        "skeletons",
        lambda r: replace(r, skeletons=np.full_like(r.skeletons, 120)),
    ),
    "no memory": ("memory", lambda r: replace(r, memory_free=1024.0**3)),
}


def _cut(poses, count):
    return PoseSequence(poses.points[:count], poses.scores[:count], poses.width, poses.height)


def kinds(run):
    return [finding.kind for finding in check_run(run).findings]


def test_a_clean_run_has_no_problems(clean):
    text = check_run(clean).to_text()
    assert text.startswith("No problems found.")
    assert "Not checked" not in text


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_found_and_nothing_else(clean, name):
    kind, spoil = WRONG[name]
    assert kinds(spoil(clean)) == [kind]


@pytest.mark.parametrize(
    ("run", "fails"),
    [("other size", True), ("fewer poses", True), ("nobody at all", True), ("scale up", False)],
)
def test_only_what_would_stop_the_run_is_a_problem(clean, run, fails):
    report = check_run(WRONG[run][1](clean))
    assert [finding.fails for finding in report.findings] == [fails]
    assert report.to_text().startswith("1 problem" if fails else "1 warning")


def test_thresholds_are_not_touched_by_small_differences(clean):
    """Just inside every threshold nothing is said."""
    assert kinds(driven(clean, scaled(clean.driver, 1.15))) == []
    assert kinds(driven(clean, hidden(clean.driver, [3, 4], slice(0, 2)))) == []
    assert kinds(replace(clean, picture_size=(SIZE[0] * 3, SIZE[1] * 3))) == []
    assert kinds(replace(clean, picture_size=(200, 300))) == []


def test_the_scale_is_told(clean):
    report = check_run(driven(clean, scaled(clean.driver, 1.5)))
    said = float(report.findings[0].text.split("are ")[1].split(" times")[0])
    assert said == pytest.approx(1.5, rel=0.12)


def test_the_missing_joints_are_named_with_their_share(clean):
    report = check_run(WRONG["an arm comes and goes"][1](clean))
    assert "right elbow in 33 %, right wrist in 33 %." in report.findings[0].text


def test_the_cost_is_counted(clean):
    """24 frames in windows of 12 sharing 4: at 0, 6, 12; 20 steps."""
    text = check_run(clean).to_text()
    assert "24 frames of 256x384." in text
    assert "3 windows of 12 frames, sharing 4 or more." in text
    assert "60 window evaluations (20 steps), 1440 frames through the UNet" in text
    assert "2.0 GB for a window beside the weights; 8.0 GB are free" in text
    once = check_run(replace(clean, guidance_scale=1.0, num_frames=12, num_poses=None, driver=None))
    assert "20 window evaluations (20 steps), 240 frames through the UNet." in once.to_text()


def test_what_is_not_wired_is_named(clean):
    text = check_run(PlannedRun(reference_size=SIZE)).to_text()
    assert text.startswith("No problems found.")
    assert "scale and half body: wire POSE_KEYPOINT of the driver and of the reference" in text
    assert "the skeletons' style: wire the drawn poses" in text


def test_several_findings_come_worst_first(clean):
    run = replace(WRONG["a small picture"][1](clean), pose_size=(256, 320))
    report = check_run(run)
    assert [finding.kind for finding in report.findings] == ["size", "picture"]
    assert report.to_text().startswith("1 problem and 1 warning found.")
