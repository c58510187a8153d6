"""Networks of the user's that describe pictures and clips."""

import json
import warnings

import numpy as np
import pytest
import torch
from transformers import VideoMAEConfig, VideoMAEModel, ViTConfig, ViTModel

from animate_anyone_core.errors import CheckpointError
from animate_anyone_core.evaluation.picture_features import load_picture_features
from animate_anyone_core.evaluation.video_distance import clip_features, load_videomae

TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}


def frames(count: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 40, 24, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vit")
    torch.manual_seed(0)
    ViTModel(ViTConfig(image_size=32, patch_size=16, **TINY)).save_pretrained(folder)
    return folder


class Means(torch.nn.Module):
    def forward(self, x):
        return x.mean(dim=(2, 3))


def script(network: torch.nn.Module, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(network).save(str(path))
    return path


class TestPictures:
    def test_a_folder_gives_the_token_of_the_whole_picture(self, vit):
        """What the network itself gives for the same pixels, chunk by chunk."""
        network = ViTModel.from_pretrained(vit).eval()
        pixels = torch.from_numpy(frames(20)).permute(0, 3, 1, 2) / 255.0
        pixels = torch.nn.functional.interpolate(pixels, (32, 32), mode="bilinear", antialias=True)
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        pixels = (pixels - mean[:, None, None]) / std[:, None, None]
        with torch.no_grad():
            expected = network(pixel_values=pixels).last_hidden_state[:, 0]
        got = load_picture_features(vit)(frames(20))
        assert got.shape == (20, 16)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)

    def test_a_folders_own_preprocessing_counts(self, vit, tmp_path):
        for path in vit.iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        settings = {"image_mean": [0.1, 0.2, 0.3], "image_std": [1.0, 1.0, 1.0]}
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
        before = load_picture_features(vit)(frames())
        assert np.abs(load_picture_features(tmp_path)(frames()) - before).max() > 1e-3
        settings["image_std"] = [1.0, 0.0, 1.0]
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
        with pytest.raises(CheckpointError, match="image_std must be three numbers above 0"):
            load_picture_features(tmp_path)

    def test_a_script_runs_if_the_user_allows_it(self, tmp_path):
        path = script(Means(), tmp_path / "means.pt")
        with pytest.raises(CheckpointError, match="--allow-torchscript"):
            load_picture_features(path)
        white = np.full((2, 9, 9, 3), 255, np.uint8)
        got = load_picture_features(path, allow_torchscript=True)(white)
        expected = (1 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
        np.testing.assert_allclose(got, [expected] * 2, rtol=1e-5)

    @pytest.mark.parametrize(
        ("network", "message"),
        [
            (torch.nn.Identity(), r"must give finite features \(3, D\) .* got \(3, 3, 224, 224\)"),
            (torch.nn.Linear(2, 2), "cannot be run on pictures"),
            (torch.nn.Sequential(Means(), torch.nn.Threshold(9.0, float("nan"))), "finite"),
        ],
    )
    def test_a_script_that_gives_something_else_is_told(self, tmp_path, network, message):
        path = script(network, tmp_path / "other.pt")
        with pytest.raises(CheckpointError, match=message):
            load_picture_features(path, allow_torchscript=True)(frames())

    def test_a_network_of_another_kind_is_told(self, tmp_path):
        (tmp_path / "config.json").write_text('{"model_type": "bert"}')
        with pytest.raises(CheckpointError, match=r"type 'bert'; .* dinov2"):
            load_picture_features(tmp_path)

    def test_a_folder_without_weights_is_told(self, vit, tmp_path):
        (tmp_path / "config.json").write_bytes((vit / "config.json").read_bytes())
        with pytest.raises(CheckpointError, match="cannot be loaded as vit"):
            load_picture_features(tmp_path)

    def test_nothing_there_is_told(self, tmp_path):
        with pytest.raises(CheckpointError, match="There is no network"):
            load_picture_features(tmp_path / "absent.pt")
        (tmp_path / "text.pt").write_text("no network")
        with pytest.raises(CheckpointError, match="no TorchScript network"):
            load_picture_features(tmp_path / "text.pt", allow_torchscript=True)


class TestVideoMae:
    def save(self, folder, **settings):
        config = VideoMAEConfig(
            image_size=224, patch_size=112, **{"num_frames": 16, **settings}, **TINY
        )
        torch.manual_seed(0)
        VideoMAEModel(config).save_pretrained(folder)
        return folder

    def test_it_gives_the_mean_of_the_tokens(self, tmp_path):
        folder = self.save(tmp_path)
        clip = np.full((16, 8, 8, 3), 255, np.uint8)
        white = (1 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
        pixels = white[None, None, :, None, None].expand(1, 16, 3, 224, 224)
        with torch.no_grad():
            network = VideoMAEModel.from_pretrained(folder).eval()
            expected = network(pixel_values=pixels).last_hidden_state.mean(dim=1)
        got = clip_features([clip], load_videomae(folder))
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)

    def test_clips_of_another_length_are_refused(self, tmp_path):
        with pytest.raises(CheckpointError, match="takes 8 frames of 224 pixels"):
            load_videomae(self.save(tmp_path, num_frames=8))

    def test_another_network_is_refused(self, vit):
        with pytest.raises(CheckpointError, match="holds no VideoMAE"):
            load_videomae(vit)
