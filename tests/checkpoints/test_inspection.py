"""What files are and what is wrong with them, reported and not raised."""

import pytest
import torch

from animate_anyone_core.checkpoints import inspection
from animate_anyone_core.checkpoints.inspection import inspect_file, inspect_folder
from animate_anyone_core.checkpoints.weight_files import read_weights, write_weights
from animate_anyone_core.errors import CheckpointError


@pytest.fixture
def write(tmp_path):
    def to(name, weights):
        write_weights(tmp_path / f"{name}.safetensors", weights)
        return tmp_path / f"{name}.safetensors"

    return to


class TestFile:
    def test_the_temporal_layers_tell_the_family(self, write, published_files):
        facts = inspect_file(write("motion_module", published_files["motion_module"]))
        assert facts.layout == "temporal layers (motion_module)"
        assert facts.family == "moore"
        assert facts.dtypes == {"float32": len(published_files["motion_module"])}
        assert facts.shapes == {
            "widths": "32-64",
            "position table": 12,
            "layer in the mid block": True,
        }
        assert facts.missing == facts.unexpected == ()
        assert facts.problem is None
        assert inspect_file(write("x", published_files["motion_module"]), "musepose").family == (
            "musepose"
        )

    def test_the_spatial_part_cannot_tell_it(self, write, published_files):
        facts = inspect_file(write("denoising_unet", published_files["denoising_unet"]))
        assert facts.family is None
        assert facts.family_reason == (
            "only the length of the temporal layers' position table can tell"
        )
        assert facts.shapes["widths"] == "32-64"
        assert facts.shapes["appearance token"] == 24
        assert facts.problem is None

    def test_one_file_shows_its_longest_window(self, write, published_files):
        both = published_files["denoising_unet"] | published_files["motion_module"]
        facts = inspect_file(write("a", both))
        assert facts.layout == "denoising UNet and temporal layers in one file"
        assert facts.shapes["longest window"] == 12
        assert facts.missing == facts.unexpected == ()

    @pytest.mark.parametrize("name", ["reference_unet", "pose_guider"])
    def test_other_networks_are_whole(self, write, published_files, name):
        facts = inspect_file(write(name, published_files[name]))
        assert facts.missing == facts.unexpected == ()
        assert facts.problem is None
        assert facts.parameters == sum(t.numel() for t in published_files[name].values())

    def test_missing_and_unexpected_keys_are_listed(self, write, published_files):
        weights = published_files["pose_guider"] | {"epoch": torch.tensor(1)}
        del weights["blocks.3.bias"]
        facts = inspect_file(write("a", weights))
        assert facts.missing == ("blocks.3.bias",)
        assert facts.unexpected == ("epoch",)
        assert facts.problem.endswith("The file is incomplete or belongs to another network.")
        assert "  missing (1): blocks.3.bias\n  unexpected (1): epoch\n  PROBLEM: " in str(facts)

    def test_damage_is_a_problem_and_no_exception(self, write, published_files):
        path = write("a", published_files["pose_guider"])
        path.write_bytes(path.read_bytes()[:-5])
        facts = inspect_file(path)
        assert "is cut short" in facts.problem
        assert str(facts).splitlines()[0] == "a.safetensors: cannot be read"

    def test_nan_is_a_problem(self, write, published_files):
        weights = dict(published_files["reference_unet"])
        weights["conv_in.bias"] = torch.full((32,), float("nan"))
        assert (
            "conv_in.bias in a.safetensors holds NaN" in inspect_file(write("a", weights)).problem
        )

    def test_a_file_of_another_kind_is_no_problem(self, write):
        facts = inspect_file(write("a", {"x.lora_up.weight": torch.zeros(2)}))
        assert facts.layout == "a LoRA"
        assert facts.problem is None

    def test_an_unknown_file_shows_its_first_keys(self, write):
        facts = inspect_file(write("a", {key: torch.zeros(2) for key in "zyx"}))
        assert facts.layout == "unknown"
        assert facts.first_keys == ("x", "y", "z")

    def test_temporal_layers_from_the_middle_alone(self, write, published_files):
        weights = {
            key: tensor
            for key, tensor in published_files["motion_module"].items()
            if key.startswith("mid_block.")
        }
        assert "none on the UNet's way down" in inspect_file(write("a", weights)).problem

    def test_a_missing_file_is_raised(self, tmp_path):
        with pytest.raises(CheckpointError) as error:
            inspect_file(tmp_path / "a.pth")
        assert str(error.value) == f"There is no file {tmp_path / 'a.pth'}."

    @pytest.mark.parametrize(
        ("family", "name", "found"),
        [
            ("champ", "guidance_encoder_depth.pth", "champ"),
            ("aniportrait", "pose_guider.pth", "aniportrait"),
            ("moore", "pose_guider.pth", None),
            ("moore", "motion_module.pth", "moore"),
        ],
    )
    def test_published_files(self, tmp_path, published_keys, monkeypatch, family, name, found):
        keys = published_keys[family][name]
        weights = {key: torch.empty(shape, device="meta") for key, shape in keys.items()}
        monkeypatch.setattr(inspection, "read_weights", lambda path: weights)
        (tmp_path / name).touch()
        facts = inspect_file(tmp_path / name)
        assert facts.family == found
        assert facts.missing == facts.unexpected == ()
        assert facts.problem is None


class TestFolder:
    def test_a_complete_model(self, model_folder):
        facts = inspect_folder(model_folder)
        assert facts.is_model
        assert facts.problems == ()
        assert facts.family == "moore"
        assert [file.file for file in facts.files] == [
            "denoising_unet.safetensors",
            "motion_module.safetensors",
            "pose_guider.safetensors",
            "reference_unet.safetensors",
            "vae/diffusion_pytorch_model.safetensors",
            "image_encoder/model.safetensors",
        ]
        assert f"{model_folder.name}: a model's folder, complete, family moore (" in str(facts)

    def test_every_problem_is_told_at_once(self, own_model_folder):
        (own_model_folder / "motion_module.safetensors").unlink()
        (own_model_folder / "vae" / "config.json").unlink()
        path = own_model_folder / "pose_guider.safetensors"
        weights = read_weights(path)
        path.unlink()
        write_weights(path, {**weights, "conv_in.bias": weights["conv_in.bias"] / 0})
        facts = inspect_folder(own_model_folder)
        assert [problem.split()[0] for problem in facts.problems] == [
            "PoseGuider:",
            "denoising_unet.safetensors",
            "There",
        ]
        assert "a model's folder, NOT complete" in str(facts)

    def test_networks_that_do_not_fit(self, own_model_folder, published_files):
        path = own_model_folder / "image_encoder" / "config.json"
        text = path.read_text().replace('"projection_dim": 24', '"projection_dim": 40')
        path.unlink()
        path.write_text(text)
        (problem,) = inspect_folder(own_model_folder).problems
        assert problem == (
            "image_encoder: 1 tensors of model.safetensors have another shape than the network "
            "(visual_projection.weight: needs (40, 16), file has (24, 16)). The files belong to "
            "different models, or config.json to another UNet."
        )

    def test_a_folder_of_other_files_is_no_model(self, tmp_path):
        write_weights(tmp_path / "style.safetensors", {"x.lora_up.weight": torch.zeros(2)})
        facts = inspect_folder(tmp_path)
        assert not facts.is_model
        assert facts.problems == ()
        assert [file.layout for file in facts.files] == ["a LoRA"]

    def test_a_folder_without_weights_is_raised(self, tmp_path):
        with pytest.raises(CheckpointError) as error:
            inspect_folder(tmp_path)
        assert str(error.value) == (
            f"{tmp_path} holds no weights (files that end in .safetensors, .pth, .pt, .bin, .ckpt)."
            " Give a file, or the folder that holds the published files."
        )
