"""`animate` as a user calls it: a playable file, or one clear line and exit code 2."""

import json
import logging

import numpy as np
import pytest
import torch
from PIL import Image

from animate_anyone_core.__main__ import main
from animate_anyone_core.checkpoints.builtin import built_in_samples
from animate_anyone_core.checkpoints.weight_files import read_weights, write_weights
from animate_anyone_core.video import read_video, write_video

from ..media.making import heard_clicks, with_clicks


@pytest.fixture
def files(tmp_path, own_model_folder):
    """A picture, a skeleton video of 6 frames, a model; options by name."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (60, 40, 3)).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "character.png")
    write_video(tmp_path / "poses.mp4", rng.integers(0, 256, (6, 48, 32, 3)).astype(np.uint8), 12)
    return {
        "reference": tmp_path / "character.png",
        "poses": tmp_path / "poses.mp4",
        "models": own_model_folder,
        "output": tmp_path / "out.mp4",
        "width": 32,
        "height": 40,
        "steps": 1,
    }


def call(options, *flags):
    arguments = [text for key, value in options.items() for text in (f"--{key}", str(value))]
    return main(["animate", *arguments, *flags])


@pytest.fixture
def refuse(files, capsys):
    """Call with changed options; give back the one line on stderr after the reports."""

    def check(*flags, **changes):
        options = {key.replace("_", "-"): value for key, value in (files | changes).items()}
        assert call(options, *flags) == 2
        err = capsys.readouterr().err
        assert "Traceback" not in err
        errors = [line for line in err.splitlines() if "error:" in line]
        assert len(errors) == 1
        assert err.endswith(f"{errors[0]}\n")
        assert not files["output"].exists()
        return errors[0].removeprefix("error: ")

    return check


def replace_file(path, content):
    path.unlink()
    path.write_bytes(content)


class TestRuns:
    def test_a_video_of_the_asked_size_and_count(self, files, caplog):
        with caplog.at_level(logging.INFO, "animate_anyone"):
            assert call(files) == 0
        clip = read_video(files["output"])
        assert clip.frames.shape == (6, 40, 32, 3)
        assert clip.fps == pytest.approx(12)
        assert f"6 frames of 32x40: {files['output']}" in caplog.text
        for network in ("DenoisingUNet", "ReferenceNet", "PoseGuider"):
            assert f"{network}: " in caplog.text

    def test_another_rate_keeps_the_speed(self, files):
        """Half a second stays half a second."""
        assert call(files | {"fps": 6}) == 0
        clip = read_video(files["output"])
        assert (len(clip.frames), clip.fps) == (3, pytest.approx(6))

    def test_a_part_at_every_second_frame(self, files):
        assert call(files | {"start": 0.08, "every-nth": 2, "max-frames": 2}) == 0
        clip = read_video(files["output"])
        assert (len(clip.frames), clip.fps) == (2, pytest.approx(6))

    def test_the_sound_of_the_video_is_kept_unless_not_wanted(self, files, tmp_path):
        with_clicks(tmp_path / "loud.mp4", (0.5,), seconds=1, fps=10, rate=44100)
        options = files | {"poses": tmp_path / "loud.mp4", "start": 0.3}
        assert call(options) == 0
        assert heard_clicks(files["output"])[0] == pytest.approx([0.2], abs=0.02)
        assert call(options, "--no-sound") == 0
        assert read_video(files["output"]).sound is None

    def test_a_folder_of_skeleton_pictures(self, files, tmp_path):
        (tmp_path / "skeletons").mkdir()
        for number in (1, 2, 10):
            Image.new("RGB", (32, 48)).save(tmp_path / "skeletons" / f"{number}.png")
        for poses in ("skeletons", "skeletons/%d.png"):
            assert call(files | {"poses": tmp_path / poses, "fps": 8}) == 0
            clip = read_video(files["output"])
            assert (len(clip.frames), clip.fps) == (3, pytest.approx(8))

    def test_a_folder_of_openpose_files(self, files, tmp_path):
        """One file a frame, no size and no rate in them, as OpenPose writes."""
        body = [value for i in range(18) for value in (10 + i, 20 + 2 * i, 0.9)]
        (tmp_path / "openpose").mkdir()
        for number in range(4):
            document = {"version": 1.3, "people": [{"pose_keypoints_2d": body}]}
            path = tmp_path / "openpose" / f"dance_{number:012d}_keypoints.json"
            path.write_text(json.dumps(document))
        options = files | {"poses": tmp_path / "openpose", "canvas": "64x80"}
        assert call(options | {"fps": 10, "every-nth": 2}) == 0
        clip = read_video(files["output"])
        assert (len(clip.frames), clip.fps) == (2, pytest.approx(5))

    def test_a_transparent_reference_on_a_color_of_choice(self, files, caplog):
        Image.new("RGBA", (40, 60), (0, 0, 0, 0)).save(files["reference"])
        with caplog.at_level(logging.INFO, "animate_anyone"):
            assert call(files | {"background": "green"}) == 0
        assert "The picture has transparent parts: laid on #008000." in caplog.messages

    def test_a_seed_decides_the_file(self, files, tmp_path):
        for name, seed in (("a", 1), ("b", 1), ("c", 2)):
            assert call(files | {"seed": seed, "output": tmp_path / f"{name}.mp4"}) == 0
        a, b, c = (read_video(tmp_path / f"{name}.mp4").frames for name in "abc")
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)

    def test_every_option(self, files):
        options = files | {
            "family": "musepose",
            "guidance": 1.0,
            "fit": "pad",
            "window": 3,
            "overlap": 1,
            "schedule": "looped",
            "blending": "flat",
            "solver": "unipc",
            "steps": 2,
            "device": "cpu",
            "dtype": "bfloat16",
        }
        assert call(options) == 0
        assert len(read_video(files["output"]).frames) == 6

    def test_a_clip_longer_than_the_position_table_by_default(self, files, tmp_path):
        """The family's window is 24, this table has 12 entries: the shorter is taken."""
        write_video(tmp_path / "long.mp4", np.zeros((15, 32, 32, 3), np.uint8), 12)
        assert call(files | {"poses": tmp_path / "long.mp4"}) == 0
        assert len(read_video(files["output"]).frames) == 15

    @pytest.mark.parametrize("kind", ["alpha", "sixteen bits", "palette", "grey"])
    def test_any_picture(self, files, kind):
        rng = np.random.default_rng(0)
        grey = rng.integers(0, 256, (40, 30)).astype(np.uint8)
        pictures = {
            "alpha": Image.fromarray(rng.integers(0, 256, (40, 30, 4)).astype(np.uint8)),
            "sixteen bits": Image.fromarray(grey.astype(np.uint16) * 257),
            "palette": Image.fromarray(np.stack([grey] * 3, -1)).quantize(16),
            "grey": Image.fromarray(grey),
        }
        pictures[kind].save(files["reference"])
        assert call(files) == 0
        assert len(read_video(files["output"]).frames) == 6

    def test_the_global_random_state_is_left_as_it_was(self, files):
        state = torch.get_rng_state()
        call(files)
        assert torch.equal(torch.get_rng_state(), state)

    def test_ctrl_c_ends_in_a_word_and_leaves_nothing(self, files, monkeypatch, capsys):
        from animate_anyone_core.commands import animate as command

        def stop(*args, **settings):
            raise KeyboardInterrupt

        monkeypatch.setattr(command, "animate", stop)
        assert call(files) == 130
        assert capsys.readouterr().err.endswith("stopped\n")
        assert not files["output"].exists()


class TestPictures:
    def test_missing(self, refuse, tmp_path):
        path = tmp_path / "none.png"
        assert refuse(reference=path) == f"There is no picture {path}."

    def test_a_single_pixel(self, refuse, files):
        Image.new("RGB", (1, 1)).save(files["reference"])
        assert refuse() == (
            "character.png is 1x1 pixels; a picture of a character needs at least 16x16."
        )

    def test_text(self, refuse, files):
        files["reference"].write_text("no picture")
        assert refuse().startswith("character.png cannot be read as a picture: ")


class TestVideos:
    def test_missing(self, refuse, tmp_path):
        path = tmp_path / "none.mp4"
        assert refuse(poses=path) == f"There is no video {path}."

    def test_text(self, refuse, files):
        files["poses"].write_text("no video")
        assert refuse().startswith("poses.mp4 cannot be read as a video: ")

    def test_truncated(self, refuse, files):
        files["poses"].write_bytes(files["poses"].read_bytes()[:100])
        assert refuse().startswith("poses.mp4 cannot be read as a video: ")


class TestWeights:
    def test_text_named_safetensors(self, refuse, files):
        replace_file(files["models"] / "denoising_unet.safetensors", b"These are no weights.\n")
        assert refuse().startswith(
            "denoising_unet.safetensors is not a safetensors file, whatever its name says"
        )

    def test_a_truncated_file(self, refuse, files):
        path = files["models"] / "reference_unet.safetensors"
        content = path.read_bytes()
        replace_file(path, content[:-1000])
        assert refuse() == (
            f"reference_unet.safetensors is cut short: {len(content)} bytes expected, "
            f"{len(content) - 1000} there. Download it again."
        )

    def test_a_git_lfs_pointer(self, refuse, files):
        pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
        replace_file(files["models"] / "motion_module.safetensors", pointer)
        assert refuse() == (
            "motion_module.safetensors is a git-lfs pointer of 63 bytes, not the weights. Run "
            "`git lfs pull` where it came from, or download the file itself."
        )

    def test_a_checkpoint_of_another_architecture(self, refuse, files):
        path = files["models"] / "denoising_unet.safetensors"
        path.unlink()
        write_weights(path, {"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(3)})
        message = refuse()
        assert message.startswith("DenoisingUNet: expected denoising UNet without temporal layers")
        assert "denoising_unet.safetensors is a whole Stable Diffusion checkpoint" in message

    def test_nan_in_weights(self, refuse, files):
        path = files["models"] / "pose_guider.safetensors"
        weights = read_weights(path)
        weights["conv_out.bias"] = torch.full_like(weights["conv_out.bias"], float("nan"))
        path.unlink()
        write_weights(path, weights)
        assert refuse() == (
            "PoseGuider: conv_out.bias in pose_guider.safetensors holds NaN or infinite numbers. "
            "The file is damaged, or the training that wrote it had diverged."
        )

    def test_a_hostile_pickle(self, refuse, files):
        path = files["models"] / "pose_guider.safetensors"
        path.unlink()
        torch.save(torch.nn.Linear(1, 1), path.with_suffix(".pth"))
        assert refuse().startswith("pose_guider.pth is a pickle that asks to run code (")

    def test_a_missing_file(self, refuse, files):
        (files["models"] / "reference_unet.safetensors").unlink()
        assert refuse().startswith(f"{files['models']} has no reference_unet.safetensors (or .pth)")

    def test_a_missing_folder(self, refuse, tmp_path):
        assert refuse(models=tmp_path / "none") == f"There is no folder {tmp_path / 'none'}."

    def test_a_missing_vae(self, refuse, tmp_path):
        assert refuse(vae=tmp_path).startswith(f"There is no VAE in {tmp_path}: ")

    def test_a_damaged_config(self, refuse, files):
        (files["models"] / "config.json").write_text("{")
        assert refuse().startswith(f"{files['models'] / 'config.json'} is not JSON: ")


class TestSettings:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            (
                {"width": 0},
                "Width and height must be multiples of 8, at least 16, got 0x40. The nearest is "
                "16x40.",
            ),
            (
                {"height": 333},
                "Width and height must be multiples of 8, at least 16, got 32x333. The nearest is "
                "32x336.",
            ),
            (
                {"width": 16, "height": 16},
                "16x16 pixels are too few for these networks. One side must be longer than 16 "
                "pixels.",
            ),
            ({"steps": 0}, "Sampling needs at least 1 step, got 0."),
            (
                {"steps": 2000},
                "The noise schedule has 1000 steps, got 2000. Use fewer: 20 to 50 are usual.",
            ),
            (
                {"guidance": "nan"},
                "The guidance scale must be a finite number, got nan. 3.5 is usual; 1 turns "
                "guidance off.",
            ),
            ({"seed": -1}, "The seed must be from 0 to 18446744073709551615, got -1."),
            (
                {"seed": 10**30},
                f"The seed must be from 0 to 18446744073709551615, got {10**30}.",
            ),
            (
                {"window": 0, "overlap": 0},
                "A window needs at least 1 frame, got context_frames=0.",
            ),
            (
                {"window": 4, "overlap": 4},
                "The overlap must be from 0 to 3 for a window of 4 frames, got 4.",
            ),
            ({"start": -1}, "The start must be 0 seconds or later, got -1."),
            ({"end": 0}, "The end must be after the start (0 s), got 0 s."),
            ({"start": 9}, "poses.mp4 is 0.50 s long: nothing is left from 9 s on."),
            ({"every_nth": 0}, "--every-nth must be at least 1, got 0."),
            (
                {"background": "greenish"},
                "'greenish' is no color. Give a name such as white or green, or #RRGGBB.",
            ),
            ({"max_frames": 0}, "--max-frames must be at least 1, got 0."),
            ({"fps": 0}, "Frames per second must be above 0 and at most 1000, got 0.0."),
        ],
    )
    def test_impossible_numbers(self, refuse, changes, message):
        assert refuse(**changes) == message

    @pytest.mark.parametrize(
        "changes",
        [
            *({"seed": -1}, {"window": 4, "overlap": 4}, {"overlap": -1}, {"steps": 0}),
            *({"width": 33}, {"guidance": "nan"}, {"output": "out.gif"}),
        ],
    )
    def test_impossible_numbers_are_refused_before_weights_are_looked_for(
        self, refuse, tmp_path, changes
    ):
        message = refuse(models=tmp_path / "not there", **changes)
        assert "not there" not in message

    def test_a_missing_side_is_no_reason_to_refuse_the_other(self, refuse, files, tmp_path):
        files.pop("width")
        assert "not there" in refuse(models=tmp_path / "not there", height=40)

    def test_a_window_longer_than_the_position_table(self, refuse, files):
        write_video(files["poses"], np.zeros((20, 32, 32, 3), np.uint8), 12)
        assert refuse(window=16) == (
            "A window of 16 frames is longer than these weights can see: their position table has "
            "12 entries. Use a window of at most 12 frames."
        )

    @pytest.mark.parametrize("name", ["out.gif", "out"])
    def test_an_output_that_is_no_video(self, refuse, tmp_path, name):
        assert refuse(output=tmp_path / name) == (
            f"Videos are written as .mp4, .mov or .mkv, got the name {name}."
        )

    def test_an_output_that_cannot_be_written(self, refuse, tmp_path):
        (tmp_path / "file").touch()
        message = refuse(output=tmp_path / "file" / "out.mp4", models=tmp_path, reference="no.png")
        assert message.startswith(f"Cannot write {tmp_path / 'file' / 'out.mp4'}: ")

    def test_a_device_that_is_not_there(self, refuse):
        assert refuse(device="nonsense").startswith("--device nonsense cannot be used here: ")

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("family", "champion"),
            ("schedule", "spiral"),
            ("blending", "smear"),
            ("solver", "newton"),
            ("fit", "fold"),
            ("dtype", "int8"),
            ("steps", "many"),
        ],
    )
    def test_unknown_choices(self, files, capsys, option, value):
        with pytest.raises(SystemExit) as exit_:
            call(files | {option: value})
        assert exit_.value.code == 2
        last = capsys.readouterr().err.splitlines()[-1]
        assert f"error: argument --{option}: invalid " in last
        assert value in last


class TestTransparent:
    @pytest.fixture
    def built_in(self, tmp_path):
        samples = built_in_samples()
        return {
            "reference": samples.characters[0],
            "poses": samples.poses,
            "steps": 1,
            "max-frames": 2,
            "output": tmp_path / "frame_%03d.png",
        }

    def test_pictures_with_alpha(self, built_in, tmp_path):
        assert call(built_in, "--transparent") == 0
        names = sorted(path.name for path in tmp_path.iterdir())
        assert names == ["frame_000.png", "frame_001.png"]
        for name in names:
            alpha = np.asarray(Image.open(tmp_path / name))[..., 3]
            assert alpha.shape == (128, 128)
            assert (alpha[:8, :8] == 0).all()
            assert (alpha[40:60, 56:72] == 255).mean() > 0.5  # somebody stands in the middle

    @pytest.mark.parametrize("name", ["a.mov", "a.webm"])
    def test_a_video_that_plays(self, built_in, tmp_path, name):
        assert call(built_in | {"output": tmp_path / name}, "--transparent") == 0
        assert read_video(tmp_path / name).frames.shape == (2, 128, 128, 3)
        assert [path.name for path in tmp_path.iterdir()] == [name]

    @pytest.mark.parametrize(
        ("flags", "changes", "message"),
        [
            (["--resume"], {}, "--transparent does not go with --resume"),
            ([], {"background-video": "a.mp4"}, "does not go with --background-video"),
            ([], {"output": "a.mp4"}, ".mov or .webm, or as pictures such as frame_%04d.png"),
            ([], {"output": "a%d.txt"}, "Pictures are written as"),
        ],
    )
    def test_what_does_not_go_is_told_first(self, built_in, capsys, flags, changes, message):
        assert call(built_in | changes, "--transparent", *flags) == 2
        assert message in capsys.readouterr().err

    def test_a_busy_background_is_told(self, files, capsys):
        """What comes out of random weights has no plain background."""
        options = {key.replace("_", "-"): value for key, value in files.items()}
        options["output"] = files["output"].with_suffix(".mov")
        assert call(options, "--transparent") == 2
        assert "The background is not plain" in capsys.readouterr().err
        assert not options["output"].exists()
