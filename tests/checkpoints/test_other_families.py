"""AnyCharV, MIMO and AniPortrait in their published layouts: recognised, paired, run."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from animate_anyone_core.animate import animate
from animate_anyone_core.animate_settings import AnimateSettings
from animate_anyone_core.checkpoints.families import FAMILIES
from animate_anyone_core.checkpoints.inspection import inspect_folder
from animate_anyone_core.checkpoints.load import load_reference_net
from animate_anyone_core.checkpoints.model_folder import load_models
from animate_anyone_core.errors import SettingsError, ShapeError, UnknownCheckpointError
from animate_anyone_core.replacement.scene import NO_SCENE, Scene
from animate_anyone_core.sampling.windows import WindowSettings
from tests.other_families import CONFIG, MAX_FRAMES, write_model

NAMES = ("anycharv", "mimo", "aniportrait")
FRAMES = 5


@pytest.fixture(scope="module")
def folders(tmp_path_factory, vae, image_encoder):
    """One model of each family."""

    def save_others(folder):
        vae.save_pretrained(folder / "vae")
        image_encoder.save_pretrained(folder / "image_encoder")

    place = tmp_path_factory.mktemp("families")
    return {name: write_model(place / name, name, save_others) for name in (*NAMES, "moore")}


@pytest.fixture
def scenes():
    rng = np.random.default_rng(3)
    frames = rng.integers(0, 256, (FRAMES, 50, 60, 3), np.uint8)
    masks = np.zeros((FRAMES, 70, 80), np.uint8)
    masks[:, 10:40, 20:50] = 255
    return {
        "anycharv": Scene(target=frames, masks=masks),
        "mimo": Scene(background=frames),
        "aniportrait": NO_SCENE,
    }


@pytest.mark.parametrize("family", [*NAMES, "moore"])
def test_a_folder_tells_its_family(folders, family):
    facts = inspect_folder(folders[family])
    assert facts.problems == ()
    assert facts.family == family
    assert "a model's folder, complete, family " + family in str(facts)
    models, reports = load_models(folders[family])
    assert models.profile == FAMILIES[family]
    assert models.denoising_unet.temporal.max_frames == MAX_FRAMES
    assert all(report.is_complete and not report.unexpected for report in reports)


@pytest.mark.slow
@pytest.mark.parametrize("family", NAMES)
def test_the_networks_make_frames_that_depend_on_all_they_are_given(folders, scenes, family):
    models, _ = load_models(folders[family])
    rng = np.random.default_rng(1)
    reference = Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8))
    poses = rng.integers(0, 256, (FRAMES, 64, 64, 3), np.uint8)
    settings = AnimateSettings(
        width=64,
        height=64,
        num_inference_steps=1,
        guidance_scale=2.0,
        windows=WindowSettings(context_frames=4, context_overlap=1, schedule="looped"),
    )

    def run(poses=poses, scene=scenes[family]):
        return np.stack(list(animate(models, reference, poses, settings, scene=scene)))

    frames = run()
    assert frames.shape == (FRAMES, 64, 64, 3)
    assert np.array_equal(frames, run())
    assert not np.array_equal(frames, run(poses[::-1]))
    given = scenes[family]
    if given.masks is not None:
        moved = Scene(target=given.target, masks=np.roll(given.masks, 20, axis=2))
        assert not np.array_equal(frames, run(scene=moved))
    if given.target is not None:
        other = Scene(target=given.target[::-1], masks=given.masks)
        assert not np.array_equal(frames, run(scene=other))
    if given.background is not None:
        assert not np.array_equal(frames, run(scene=NO_SCENE))  # white then


def copied(folders, tmp_path, of, *parts):
    """A model's folder with some networks of others: (network, family)."""
    folder = tmp_path / "mixed"
    shutil.copytree(folders[of], folder)
    for network, family in parts:
        for suffix in (".pth", ""):
            source = folders[family] / f"{network}{suffix}"
            if source.is_file():
                shutil.copy(source, folder)
            elif source.is_dir():
                shutil.copytree(source, folder / network, dirs_exist_ok=True)
    return folder


@pytest.mark.parametrize(
    ("of", "part", "message"),
    [
        (
            "mimo",
            ("pose_guider", "aniportrait"),
            "The networks do not belong together: the denoising UNet is MIMO's, the Pose Guider is "
            "of the kind of AniPortrait. Use files of one model.",
        ),
        (
            "anycharv",
            ("pose_guider", "aniportrait"),
            "The networks do not belong together: the denoising UNet is AnyCharV's, the Pose Guider "
            "is of the kind of AniPortrait. Use files of one model.",
        ),
    ],
)
def test_networks_of_two_families_are_named(folders, tmp_path, of, part, message):
    folder = copied(folders, tmp_path, of, part)
    if of == "anycharv":
        shutil.rmtree(folder / "pose_guider")
    with pytest.raises(ShapeError) as error:
        load_models(folder)
    assert str(error.value) == message
    assert message in inspect_folder(folder).problems


def test_a_family_asked_for_must_have_its_guider(folders):
    with pytest.raises(ShapeError) as error:
        load_models(folders["moore"], family="aniportrait")
    assert str(error.value) == (
        "The networks do not belong together: the denoising UNet is AniPortrait's, the Pose Guider "
        "is of the kind of Moore-AnimateAnyone and MusePose and AnyCharV and MIMO. Use files of one "
        "model."
    )


@pytest.mark.parametrize("family", ["moore", "mimo"])
def test_a_family_asked_for_must_have_its_channels(folders, family):
    with pytest.raises(UnknownCheckpointError, match="this file's takes 9, as AnyCharV have"):
        load_models(folders["anycharv"], family=family)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("temporal_position_encoding_max_len", 24, "say max_frames 24, its position table has 12"),
        ("num_attention_heads", 0, "num_attention_heads must be a whole number from 1 to 256"),
    ],
)
def test_settings_of_the_temporal_layers_are_checked(folders, tmp_path, setting, value, message):
    folder = copied(folders, tmp_path, "anycharv")
    path = folder / "denoising_unet" / "config.json"
    config = json.loads(path.read_text())
    config["motion_module_kwargs"][setting] = value
    path.write_text(json.dumps(config))
    with pytest.raises(SettingsError) as error:
        load_models(folder)
    assert message in str(error.value)


def test_a_first_convolution_that_is_none_is_refused(folders, tmp_path):
    weights = torch.load(folders["mimo"] / "reference_unet.pth")
    weights["conv_in.weight"] = torch.zeros(32)
    torch.save(weights, tmp_path / "a.pth")
    with pytest.raises(
        UnknownCheckpointError, match=r"conv_in\.weight must be the weights of a conv"
    ):
        load_reference_net(tmp_path / "a.pth", config=CONFIG)


@pytest.mark.parametrize(
    ("key", "shape", "message"),
    [
        ("conv_layers_2.0.weight", None, "not all in the file"),
        ("cross_attn1.proj_in.weight", (40, 32, 1, 1), "transformers of 16 heads"),
        ("conv_layers_1.0.weight", (32,), "must be the weights of a convolution"),
    ],
)
def test_a_damaged_guider_is_refused(folders, tmp_path, key, shape, message):
    folder = copied(folders, tmp_path, "aniportrait")
    weights = torch.load(folder / "pose_guider.pth")
    if shape is None:
        del weights[key]
    else:
        weights[key] = torch.zeros(shape)
    torch.save(weights, folder / "pose_guider.pth")
    with pytest.raises(UnknownCheckpointError, match=message):
        load_models(folder)
