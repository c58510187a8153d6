"""`animate --replace`: a character in a person's place, on tiny weights in the published layout."""

import numpy as np
import pytest
import torch
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


@pytest.mark.parametrize(
    ("flags", "is_kept"),
    [((), False), (("--no-keep-surroundings",), False), (("--keep-surroundings",), True)],
)
def test_latents_around_the_person_are_kept_if_asked(files, folders, monkeypatch, flags, is_kept):
    """Published weights make all themselves, unless asked."""
    from animate_anyone_core import animate as main_path
    from animate_anyone_core.checkpoints.model_folder import load_autoencoder
    from animate_anyone_core.replacement.scene import encode_frames

    seen = []
    decode = main_path.decode_pictures
    monkeypatch.setattr(
        main_path,
        "decode_pictures",
        lambda vae, latents: seen.append(latents) or decode(vae, latents),
    )
    assert call(files, "--no-paste", *flags) == 0
    target = read_video(files["replace"]).frames
    own = encode_frames(load_autoencoder(folders["anycharv"] / "vae"), target, 64, 64)
    is_own = torch.isclose(seen[0], own, rtol=1e-4, atol=1e-4).all(dim=1)[0]
    assert is_own[:, :, :2].all() == is_kept  # the person is at a third of the width
    assert not is_own[:, 3, 4].any()


@pytest.mark.slow
def test_videos_of_another_rate_are_taken_by_time(files, tmp_path):
    """The mask has 30 frames a second where the video has 12; the person jumps in the middle."""
    masks = np.zeros((10, HEIGHT, WIDTH, 3), np.uint8)
    masks[:5, 40:80, 20:50] = 255
    masks[5:, 40:80, 110:140] = 255
    write_video(tmp_path / "fast.mp4", masks, 30)
    assert call(files | {"mask": tmp_path / "fast.mp4"}) == 0
    before, after = (read_video(files[n]).frames.astype(int) for n in ("replace", "output"))
    change = np.abs(after - before).mean(axis=-1)[:, 50:70]
    left, right = change[:, :, 25:45].mean(axis=(1, 2)), change[:, :, 115:135].mean(axis=(1, 2))
    assert (left > right).tolist() == [True, True, False, False]


def test_videos_of_as_many_frames_belong_together_whatever_rate_they_say(files, tmp_path):
    masks = np.zeros((FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    masks[:2, 40:80, 20:50] = 255
    masks[2:, 40:80, 110:140] = 255
    write_video(tmp_path / "same.mp4", masks, 30)
    assert call(files | {"mask": tmp_path / "same.mp4"}) == 0
    before, after = (read_video(files[n]).frames.astype(int) for n in ("replace", "output"))
    change = np.abs(after - before).mean(axis=-1)[:, 50:70]
    left, right = change[:, :, 25:45].mean(axis=(1, 2)), change[:, :, 115:135].mean(axis=(1, 2))
    assert (left > right).tolist() == [True, True, False, False]


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
        ({"occlusion": "x.mp4"}, "--occlusion says where --original lies in front"),
        (
            {"occlusion": "x.mp4", "original": "y.mp4"},
            "--occlusion is for a character that is pasted over --background-video",
        ),
    ],
)
def test_options_that_do_not_fit(files, capsys, changes, message):
    assert refusal(capsys, files | changes).startswith(message)


def test_keeping_needs_something_to_keep(files, capsys):
    changes = {"replace": None, "mask": None}
    message = refusal(capsys, files | changes, "--keep-surroundings")
    assert message.startswith("--keep-surroundings is about the video of --replace")


def test_a_mask_that_shows_nobody_is_told(files, capsys, tmp_path):
    """As a black one does, or an alpha channel that was none; not one with somebody in some frames."""
    black = np.zeros((FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    write_video(tmp_path / "black.mp4", black, 12)
    message = refusal(capsys, files | {"mask": tmp_path / "black.mp4"})
    assert message.startswith("The mask shows nobody in any of its frames")
    black[1, 40:80, 60:90] = 255
    write_video(tmp_path / "leaving.mp4", black, 12)
    assert call(files | {"mask": tmp_path / "leaving.mp4"}) == 0
    before, after = (read_video(files[n]).frames.astype(int) for n in ("replace", "output"))
    change = np.abs(after - before)[:, 50:70, 65:85].mean(axis=(1, 2, 3))
    assert (change > 8).tolist() == [False, True, False, False]


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


@pytest.mark.slow
class TestFigure:
    """MIMO's weights: rendered bodies before a background."""

    @pytest.fixture
    def before(self, files, folders, tmp_path):
        bodies = np.zeros((FRAMES, HEIGHT, WIDTH, 3), np.uint8)
        for index, frame in enumerate(bodies):
            frame[30:90, 20 + 30 * index : 40 + 30 * index] = (200, 120, 60)
        write_video(tmp_path / "bodies.mp4", bodies, 12)
        return files | {
            "models": folders["mimo"],
            "replace": None,
            "mask": None,
            "poses": tmp_path / "bodies.mp4",
        }

    @pytest.fixture
    def behind(self, before, files):
        return before | {"background-video": files["replace"]}

    def test_without_a_background_it_is_a_square_on_white(self, before):
        assert call(before) == 0
        assert read_video(before["output"]).frames.shape == (FRAMES, 64, 64, 3)

    def test_it_is_pasted_over_the_background(self, behind):
        """At the background's size; away from the figure nothing changed."""
        assert call(behind) == 0
        before, after = (
            read_video(behind[n]).frames.astype(int) for n in ("background-video", "output")
        )
        assert after.shape == before.shape
        change = np.abs(after - before).mean(axis=-1)
        assert change[:, 108:].mean() < 2
        assert change[:, :14].mean() < 2
        for index in range(FRAMES):
            assert change[index, 45:75, 22 + 30 * index : 38 + 30 * index].mean() > 8, index

    def test_unpasted_it_is_a_square_of_the_background(self, behind, before):
        assert call(behind, "--no-paste") == 0
        seen = read_video(behind["output"]).frames
        assert seen.shape == (FRAMES, 64, 64, 3)
        assert call(before) == 0
        assert not np.array_equal(read_video(before["output"]).frames, seen)

    def test_uncut_the_whole_picture_is_made(self, behind):
        assert call(behind, "--no-crop") == 0
        before, after = (
            read_video(behind[n]).frames.astype(int) for n in ("background-video", "output")
        )
        assert after.shape == before.shape
        assert np.abs(after - before)[:, 110:, :].mean() > 8

    def test_what_lies_in_front_is_the_originals_own(self, behind, tmp_path):
        original = np.full((FRAMES, HEIGHT, WIDTH, 3), 90, np.uint8)
        front = np.zeros_like(original)
        front[:, 50:70] = 255
        write_video(tmp_path / "original.mp4", original, 12)
        write_video(tmp_path / "front.mp4", front, 12)
        given = {"occlusion": tmp_path / "front.mp4", "original": tmp_path / "original.mp4"}
        assert call(behind | given) == 0
        after = read_video(behind["output"]).frames.astype(int)
        for index in range(FRAMES):
            part = after[index, 54:66, 24 + 30 * index : 36 + 30 * index]
            assert np.abs(part - 90).mean() < 4, index

    def test_a_background_of_another_size_and_rate(self, behind, tmp_path):
        yy, xx = np.mgrid[:101, :131]
        scene = np.stack([xx, yy, (xx + yy) / 2], axis=-1).astype(np.uint8)
        write_video(tmp_path / "odd.mp4", [scene] * 12, 30)
        assert call(behind | {"background-video": tmp_path / "odd.mp4"}) == 0
        read = read_video(tmp_path / "odd.mp4").frames
        assert read_video(behind["output"]).frames.shape == (FRAMES, *read.shape[1:])

    def test_only_the_character_of_a_transparent_picture_is_seen(self, before, tmp_path):
        """Room around them that is transparent changes nothing."""
        rng = np.random.default_rng(3)
        character = np.zeros((80, 60, 4), np.uint8)
        character[20:68, 6:38] = rng.integers(0, 256, (48, 32, 4))
        character[20:68, 6:38, 3] = 255
        wide = np.zeros((140, 120, 4), np.uint8)
        wide[40:88, 50:82] = character[20:68, 6:38]
        made = []
        for name, picture in (("tight.png", character), ("wide.png", wide)):
            Image.fromarray(picture).save(tmp_path / name)
            assert call(before | {"reference": tmp_path / name}) == 0
            made.append(read_video(before["output"]).frames)
        assert np.array_equal(*made)

    def test_it_goes_on_where_it_was_stopped(self, behind, monkeypatch):
        from animate_anyone_core.commands import animate as command

        assert call(behind | {"steps": 2}) == 0
        whole = read_video(behind["output"]).frames
        run = command.animate

        def stopped(*args):
            frames = run(*args)
            yield next(frames)
            raise KeyboardInterrupt

        monkeypatch.setattr(command, "animate", stopped)
        assert call(behind | {"steps": 2}, "--resume") == 130
        monkeypatch.setattr(command, "animate", run)
        assert call(behind | {"steps": 2}, "--resume") == 0
        assert np.array_equal(read_video(behind["output"]).frames, whole)

    def test_its_pictures_of_bodies_are_made_elsewhere(self, before, capsys, tmp_path):
        save_poses(poses_of(75, 60, 30), tmp_path / "poses.json")
        message = refusal(capsys, before | {"poses": tmp_path / "poses.json"})
        assert message.startswith("These weights are driven by pictures of a rendered body")
