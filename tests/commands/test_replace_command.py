"""`animate --replace`: a character in a person's place, on tiny weights in the published layout."""

import numpy as np
import pytest
from PIL import Image

from animate_anyone_core.__main__ import main
from animate_anyone_core.pose.openpose_json import save_poses
from animate_anyone_core.pose.skeleton import NUM_KEYPOINTS, PoseSequence
from animate_anyone_core.video import read_video, write_video
from tests.other_families import write_model

FRAMES, WIDTH, HEIGHT = 4, 160, 128


@pytest.fixture(scope="module")
def folders(tmp_path_factory, vae, image_encoder):
    def save_others(folder):
        vae.save_pretrained(folder / "vae")
        image_encoder.save_pretrained(folder / "image_encoder")

    place = tmp_path_factory.mktemp("models")
    return {n: write_model(place / n, n, save_others) for n in ("anycharv", "mimo", "moore")}


@pytest.fixture
def files(tmp_path, folders):
    """A smooth scene, a mask of someone in it, skeletons, a model."""
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    scene = np.stack([xx, yy, (xx + yy) / 2], axis=-1).astype(np.uint8)
    masks = np.zeros((FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    masks[:, 40:80, 60:90] = 255
    rng = np.random.default_rng(0)
    write_video(tmp_path / "scene.mp4", [scene] * FRAMES, 12)
    write_video(tmp_path / "mask.mp4", masks, 12)
    skeletons = rng.integers(0, 256, (FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    write_video(tmp_path / "poses.mp4", skeletons, 12)
    Image.fromarray(rng.integers(0, 256, (60, 40, 3), np.uint8)).save(tmp_path / "character.png")
    return {
        "reference": tmp_path / "character.png",
        "replace": tmp_path / "scene.mp4",
        "mask": tmp_path / "mask.mp4",
        "poses": tmp_path / "poses.mp4",
        "models": folders["anycharv"],
        "output": tmp_path / "out.mp4",
        "width": 64,
        "height": 64,
        "steps": 1,
    }


def call(options, *flags):
    given = {key: value for key, value in options.items() if value is not None}
    return main(["animate", *(t for k, v in given.items() for t in (f"--{k}", str(v))), *flags])


def refusal(capsys, options, *flags):
    assert call(options, *flags) == 2
    return capsys.readouterr().err.splitlines()[-1].removeprefix("error: ")


def poses_of(x, y, height):
    """Somebody who stands at (x, y), upright, as data."""
    points = np.zeros((FRAMES, 1, NUM_KEYPOINTS, 2))
    rng = np.random.default_rng(1)
    points[:, 0, :18] = (x, y) + rng.uniform(-0.5, 0.5, (18, 2)) * (height / 2, height)
    scores = np.zeros((FRAMES, 1, NUM_KEYPOINTS))
    scores[:, :, :18] = 1.0
    return PoseSequence(points, scores, WIDTH, HEIGHT, 12)


def test_all_but_the_person_is_the_videos_own(files):
    """At the video's size, though a part of it was made at another."""
    assert call(files) == 0
    before, after = (read_video(files[n]).frames.astype(int) for n in ("replace", "output"))
    assert after.shape == before.shape
    outside = np.ones((HEIGHT, WIDTH), bool)
    outside[30:90, 50:100] = False
    error = np.mean((after - before)[:, outside] ** 2)
    assert 10 * np.log10(255**2 / error) >= 40  # dB: the file was compressed once more
    assert np.abs(after - before)[:, 50:70, 65:85].mean() > 10


def test_the_whole_frame_as_it_was_made(files):
    assert call(files, "--no-paste") == 0
    assert read_video(files["output"]).frames.shape == (FRAMES, 64, 64, 3)


def test_the_mask_follows_the_poses_if_there_is_none(files, tmp_path):
    save_poses(poses_of(75, 60, 30), tmp_path / "poses.json")
    assert call(files | {"mask": None, "poses": tmp_path / "poses.json"}) == 0
    before, after = (read_video(files[n]).frames.astype(int) for n in ("replace", "output"))
    changed = np.abs(after - before).mean(axis=(0, 3)) > 8
    rows, columns = changed.nonzero()
    assert changed[55:65, 70:80].any()
    assert 35 <= rows.min() <= rows.max() <= 90
    assert 55 <= columns.min() <= columns.max() <= 100


def test_the_size_is_that_of_the_video_unless_given(files, monkeypatch):
    """The family's short side, in multiples of 64, at the shape of the part."""
    from animate_anyone_core.commands import animate as command

    seen = []

    def stop(models, reference, poses, settings, *more):
        seen.append((settings.width, settings.height))
        yield from np.zeros((len(poses), settings.height, settings.width, 3), np.uint8)

    monkeypatch.setattr(command, "animate", stop)
    assert call(files | {"width": None, "height": None}) == 0
    assert seen == [(704, 576)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"replace": None}, "--mask says who is replaced in a video: give that with --replace."),
        ({"mask": None}, "Who is replaced? Skeleton pictures do not tell. Give --mask"),
        (
            {"replace": None, "mask": None, "poses": None},
            "Something must drive the character: give --driving, --poses or --replace.",
        ),
        ({"replace": None, "mask": None}, "These weights put the character in a person's place"),
        ({"background-video": "x.mp4"}, "--replace and --background-video are for different"),
    ],
)
def test_options_that_do_not_fit(files, capsys, changes, message):
    assert refusal(capsys, files | changes).startswith(message)


def test_poses_of_replacement_stay_in_their_place(files, capsys):
    assert refusal(capsys, files, "--retarget").startswith("--retarget moves the poses")


def test_other_weights_cannot_replace(files, folders, capsys):
    message = refusal(capsys, files | {"models": folders["moore"]})
    assert message.startswith("These weights cannot see a target video")


def test_a_video_that_is_too_short_is_told(files, capsys, tmp_path):
    short = read_video(files["replace"]).frames[:2]
    write_video(tmp_path / "short.mp4", short, 12)
    message = refusal(capsys, files | {"replace": tmp_path / "short.mp4"})
    assert message == (
        "short.mp4 has 2 frames, but 4 poses drive. Give videos of one length, or --max-frames 2."
    )


class TestBackground:
    """MIMO's weights."""

    @pytest.fixture
    def before(self, files, folders):
        return files | {"models": folders["mimo"], "replace": None, "mask": None}

    def test_a_video_behind_the_character(self, before, files):
        assert call(before) == 0
        white = read_video(before["output"]).frames
        assert call(before | {"background-video": files["replace"]}) == 0
        assert not np.array_equal(read_video(before["output"]).frames, white)

    def test_its_pictures_of_bodies_are_made_elsewhere(self, before, capsys, tmp_path):
        save_poses(poses_of(75, 60, 30), tmp_path / "poses.json")
        message = refusal(capsys, before | {"poses": tmp_path / "poses.json"})
        assert message.startswith("These weights are driven by pictures of a rendered body")
