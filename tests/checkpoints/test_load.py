"""Files to networks: every form of the same weights loads to the same network, or says why not."""

import json
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from animate_anyone_core.checkpoints import load as load_module
from animate_anyone_core.checkpoints.convert import published_weights
from animate_anyone_core.checkpoints.key_map import is_position_table
from animate_anyone_core.checkpoints.load import (
    METADATA_KEY,
    load_denoising_unet,
    load_pose_guider,
    load_reference_net,
    read_denoising_unet,
)
from animate_anyone_core.checkpoints.weight_files import write_weights
from animate_anyone_core.errors import (
    CheckpointError,
    MissingWeightsError,
    SettingsError,
    UnknownCheckpointError,
)
from animate_anyone_core.models.config import TemporalConfig, UNetConfig
from animate_anyone_core.models.denoising_unet import DenoisingUNet
from animate_anyone_core.models.pose_guider import PaperPoseGuider
from animate_anyone_core.models.reference_net import ReferenceNet
from animate_anyone_core.models.references import Reference

T = torch.tensor([300])


@pytest.fixture
def write(tmp_path):
    """Write tensors under a name, and give back the path."""

    def to(name, weights, **metadata):
        path = tmp_path / name
        if path.suffix == ".safetensors":
            write_weights(path, weights, metadata)
        else:
            torch.save(dict(weights), path)
        return path

    return to


@pytest.fixture
def two(write, published_files):
    return (
        write("denoising_unet.safetensors", published_files["denoising_unet"]),
        write("motion_module.safetensors", published_files["motion_module"]),
    )


def load(*paths, dtype=None, **settings):
    return load_denoising_unet(read_denoising_unet(*paths, **settings), dtype)


def same(network, other):
    one, two = network.state_dict(), other.state_dict()
    return set(one) == set(two) and all(torch.equal(one[key], two[key]) for key in one)


class TestDenoisingUNet:
    def test_two_files(self, two, unet):
        assert same(load(*two), unet)

    def test_one_file_with_its_temporal_layers(self, write, published_files, unet):
        both = published_files["denoising_unet"] | published_files["motion_module"]
        assert same(load(write("a.safetensors", both)), unet)

    @pytest.mark.parametrize("suffix", [".pth", ".ckpt", ".safetensors"])
    def test_every_file_format(self, write, published_files, unet, suffix):
        paths = [
            write(f"{name}{suffix}", published_files[name])
            for name in ("denoising_unet", "motion_module")
        ]
        assert same(load(*paths), unet)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
    def test_every_precision_is_kept_or_changed(self, write, published_files, unet, dtype):
        paths = [
            write(f"{name}.safetensors", {k: v.to(dtype) for k, v in published_files[name].items()})
            for name in ("denoising_unet", "motion_module")
        ]
        assert {p.dtype for p in load(*paths).parameters()} == {dtype}
        as_float = load(*paths, dtype=torch.float32)
        for key, tensor in as_float.state_dict().items():
            assert torch.equal(tensor, unet.state_dict()[key].to(dtype).float()), key

    def test_mixed_precisions_take_the_most_common(self, write, published_files):
        mixed = {
            key: tensor.half() if index % 3 else tensor
            for index, (key, tensor) in enumerate(published_files["denoising_unet"].items())
        }
        motion = {k: v.half() for k, v in published_files["motion_module"].items()}
        files = read_denoising_unet(write("a.safetensors", mixed), write("b.safetensors", motion))
        assert files.report.dtype == "float16"
        assert {p.dtype for p in load_denoising_unet(files).parameters()} == {torch.float16}

    def test_eight_bit_files_load_in_a_precision_that_computes(self, write, published_files):
        eight = {
            key: tensor.to(torch.float8_e4m3fn)
            for key, tensor in (
                published_files["denoising_unet"] | published_files["motion_module"]
            ).items()
        }
        network = load(write("a.safetensors", eight), dtype=torch.float32)
        assert {p.dtype for p in network.parameters()} == {torch.float32}

    @pytest.mark.parametrize("prefix", ["module.", "model.", "unet."])
    def test_prefixed_keys(self, write, published_files, unet, prefix):
        paths = [
            write(f"{n}.pth", {f"{prefix}{k}": v for k, v in published_files[n].items()})
            for n in ("denoising_unet", "motion_module")
        ]
        assert same(load(*paths), unet)

    def test_temporal_layers_under_diffusers_names(self, write, published_files, unet):
        """As diffusers' own motion adapters name them, without position tables."""
        motion = {k: v for k, v in unet.state_dict().items() if "motion_modules" in k}
        assert set(published_weights(motion)) <= set(published_files["motion_module"])
        paths = (
            write("a.safetensors", published_files["denoising_unet"]),
            write("b.safetensors", motion),
        )
        assert same(load(*paths), unet)

    def test_no_temporal_layers_at_all_is_an_error(self, two):
        with pytest.raises(MissingWeightsError) as error:
            read_denoising_unet(two[0])
        assert str(error.value) == (
            "denoising_unet.safetensors has no temporal layers, so its frames would not hold "
            "together. Give the family's motion_module file as well."
        )

    def test_the_image_model_needs_none(self, two, image_unet, published_files, write):
        network = load(two[0], image_only=True)
        assert network.temporal is None
        assert set(network.state_dict()) == set(image_unet.state_dict())
        both = published_files["denoising_unet"] | published_files["motion_module"]
        assert same(load(write("c.pth", both), image_only=True), network)

    def test_a_separate_motion_file_wins_over_layers_inside(self, write, published_files, unet):
        both = published_files["denoising_unet"] | {
            key: tensor * 0 for key, tensor in published_files["motion_module"].items()
        }
        motion = write("motion_module.safetensors", published_files["motion_module"])
        files = read_denoising_unet(write("a.safetensors", both), motion)
        assert same(load_denoising_unet(files), unet)
        assert (
            "temporal layers are in both files; taken from motion_module.safetensors"
            in files.report.notes
        )

    def test_a_missing_key_is_named(self, write, published_files, two, unet):
        weights = dict(published_files["denoising_unet"])
        del weights["mid_block.resnets.0.conv1.weight"]
        with pytest.raises(MissingWeightsError) as error:
            read_denoising_unet(write("a.safetensors", weights), two[1])
        assert str(error.value) == (
            f"DenoisingUNet: 1 of {len(unet.state_dict())} tensors are missing in a.safetensors, "
            "motion_module.safetensors, such as mid_block.resnets.0.conv1.weight. The file is "
            "incomplete or belongs to another network."
        )

    def test_motion_layers_of_another_width_are_named(self, write, two):
        config = UNetConfig(
            block_out_channels=(64, 128), attention_levels=(True, False), layers_per_block=1
        )
        other = DenoisingUNet(config, TemporalConfig()).state_dict()
        motion = {k: v for k, v in other.items() if "motion_modules" in k}
        with pytest.raises(MissingWeightsError) as error:
            read_denoising_unet(two[0], write("b.safetensors", published_weights(motion)))
        assert "have another shape than the network (" in str(error.value)
        assert "The files belong to different models" in str(error.value)

    def test_unexpected_keys_are_reported_and_left_out(self, write, published_files, two, unet):
        weights = published_files["denoising_unet"] | {"epoch": torch.tensor(3)}
        files = read_denoising_unet(write("a.safetensors", weights), two[1])
        assert files.report.unexpected == ("epoch",)
        assert same(load_denoising_unet(files), unet)

    def test_nan_is_named(self, write, published_files, two):
        weights = dict(published_files["denoising_unet"])
        weights["conv_out.bias"] = torch.full((4,), float("nan"))
        with pytest.raises(CheckpointError) as error:
            read_denoising_unet(write("a.safetensors", weights), two[1])
        assert "conv_out.bias in a.safetensors, motion_module.safetensors" in str(error.value)

    @pytest.mark.parametrize(
        ("given", "motion", "message"),
        [
            (
                "reference_unet",
                None,
                "DenoisingUNet: expected denoising UNet without temporal layers (denoising_unet) "
                "or denoising UNet and temporal layers in one file, but reference_unet.safetensors "
                "is ReferenceNet (reference_unet). Choose the file that was published for this "
                "network.",
            ),
            (
                "motion_module",
                None,
                "DenoisingUNet: expected denoising UNet without temporal layers (denoising_unet) "
                "or denoising UNet and temporal layers in one file, but motion_module.safetensors "
                "is temporal layers (motion_module). Choose the file that was published for this "
                "network.",
            ),
            (
                "denoising_unet",
                "pose_guider",
                "temporal layers: expected temporal layers (motion_module), but "
                "pose_guider.safetensors is Pose Guider, published layout (pose_guider). Choose "
                "the file that was published for this network.",
            ),
        ],
    )
    def test_the_wrong_file_in_a_slot_is_named(
        self, write, published_files, given, motion, message
    ):
        paths = [
            write(f"{name}.safetensors", published_files[name]) for name in (given, motion) if name
        ]
        with pytest.raises(UnknownCheckpointError) as error:
            read_denoising_unet(*paths)
        assert str(error.value) == message

    def test_an_unknown_family_is_refused(self, two):
        with pytest.raises(SettingsError):
            read_denoising_unet(*two, family="champion")

    def test_the_window_is_as_long_as_the_table_in_the_file(self, two):
        files = read_denoising_unet(*two)
        assert files.temporal.max_frames == 12
        assert files.profile.name == "moore"

    def test_musepose_sees_128_frames_whatever_its_file_holds(self, two):
        files = read_denoising_unet(*two, family="musepose")
        assert files.temporal.max_frames == 128
        assert files.profile.name == "musepose"

    def test_the_header_of_our_own_files_tells_everything(self, write, published_files, unet):
        weights = published_weights(unet.state_dict())  # no tables
        header = {
            "unet": unet.config.to_diffusers(),
            "temporal": {"max_frames": 99, "num_attention_heads": 4, "norm_num_groups": 16},
        }
        path = write("a.safetensors", weights, **{METADATA_KEY: json.dumps(header)})
        files = read_denoising_unet(path)
        assert files.temporal == TemporalConfig(
            max_frames=99, num_attention_heads=4, norm_num_groups=16
        )
        assert "shapes from the file's header" in files.report.notes

    def test_a_damaged_header_is_named(self, write, published_files):
        path = write("a.safetensors", published_files["denoising_unet"], **{METADATA_KEY: "{"})
        with pytest.raises(CheckpointError) as error:
            read_denoising_unet(path)
        assert str(error.value).startswith(
            "a.safetensors: its header's entry animate_anyone is not"
        )

    def test_the_report_reads_well(self, two):
        report = read_denoising_unet(*two).report
        assert report.is_complete
        lines = str(report).splitlines()
        assert lines[:3] == [
            "DenoisingUNet: denoising UNet without temporal layers (denoising_unet)",
            "  files: denoising_unet.safetensors, motion_module.safetensors",
            f"  {report.used} tensors, {report.parameters / 1e6:.1f} M parameters, float32",
        ]
        assert lines[3].startswith("  unused (14): down_blocks.0.motion_modules.0.")
        assert lines[3].endswith(" … and 10 more")
        assert lines[4:] == [
            "  shapes from the tensors; 8 heads and 32 norm groups, as Stable Diffusion 1.5",
            "  family moore: its position table has 12 entries, as Moore-AnimateAnyone's; choose "
            "the family by hand if these are MusePose weights",
        ]

    def test_networks_come_ready_to_run_and_leave_the_random_state(self, two):
        state = torch.get_rng_state()
        network = load(*two)
        assert not network.training
        assert not any(p.requires_grad for p in network.parameters())
        assert torch.equal(torch.get_rng_state(), state)

    @pytest.mark.parametrize(
        "config",
        [
            UNetConfig(
                block_out_channels=(32, 32, 64),
                attention_levels=(True, True, False),
                cross_attention_dim=40,
            ),
            UNetConfig(
                block_out_channels=(64, 32),
                attention_levels=(False, True),
                layers_per_block=3,
                use_linear_projection=True,
            ),
        ],
    )
    def test_other_widths_load_and_compute(self, write, config, normal):
        network = DenoisingUNet(config, TemporalConfig(max_frames=4, in_mid_block=False)).eval()
        path = write("a.safetensors", published_weights(network.state_dict()))
        loaded = load(path)
        assert loaded.config == config
        given = normal(1, 4, 2, 8, 8), T, Reference(normal(1, 1, config.cross_attention_dim), {})
        with torch.no_grad():
            assert_close(loaded(*given), network(*given), rtol=1e-4, atol=1e-5)


class TestReferenceNet:
    def test_loads(self, write, published_files, reference_net):
        path = write("reference_unet.pth", published_files["reference_unet"])
        network, report = load_reference_net(path)
        assert same(network, reference_net)
        assert report.is_complete
        assert not report.unexpected

    def test_an_output_convolution_is_left_out_and_said(self, write, published_files, unet):
        path = write("reference_unet.safetensors", published_files["denoising_unet"])
        network, report = load_reference_net(path)
        assert isinstance(network, ReferenceNet)
        assert set(report.unused) == {
            "conv_norm_out.weight",
            "conv_norm_out.bias",
            "conv_out.weight",
            "conv_out.bias",
        }
        assert "the file has an output convolution, which ReferenceNet does not use" in report.notes

    @pytest.mark.parametrize("name", ["motion_module", "pose_guider"])
    def test_another_file_is_named(self, write, published_files, name):
        with pytest.raises(UnknownCheckpointError) as error:
            load_reference_net(write(f"{name}.pth", published_files[name]))
        assert str(error.value).startswith("ReferenceNet: expected ReferenceNet (reference_unet)")
        assert f"but {name}.pth is " in str(error.value)

    def test_a_unet_with_temporal_layers_is_refused(self, write, published_files):
        both = published_files["denoising_unet"] | published_files["motion_module"]
        with pytest.raises(UnknownCheckpointError, match="temporal layers in one file"):
            load_reference_net(write("a.pth", both))


class TestPoseGuider:
    def test_both_layouts_load_at_any_width(self, write, published_files, pose_guider, randomise):
        network, report = load_pose_guider(write("a.pth", published_files["pose_guider"]))
        assert same(network, pose_guider)
        assert report.layout == "Pose Guider, published layout (pose_guider)"
        paper = randomise(PaperPoseGuider((4, 8, 12), 20))
        network, report = load_pose_guider(write("b.pth", paper.state_dict()), dtype=torch.float16)
        assert isinstance(network, PaperPoseGuider)
        assert report.dtype == "float32"
        assert {p.dtype for p in network.parameters()} == {torch.float16}

    def test_guiders_of_other_families_are_named(self, write, published_keys):
        for family, name, what in (
            ("open", "poseguider_stage_1.ckpt, plain", "Open-AnimateAnyone's pose guider"),
            ("champ", "guidance_encoder_depth.pth", "Champ's guidance encoder"),
        ):
            weights = {k: torch.zeros(1) for k in published_keys[family][name]}
            with pytest.raises(UnknownCheckpointError) as error:
                load_pose_guider(write(f"{family}.pth", weights))
            assert f"but {family}.pth is {what}." in str(error.value)


class TestPublishedSize:
    """The published keys and shapes, on the meta device: nothing missing, nothing unexpected."""

    @pytest.fixture
    def reads(self, published_keys, monkeypatch):
        """Let files be read as tensors without contents."""

        def read(path):
            keys = published_keys[path.parts[0]]["/".join(path.parts[1:])]
            return {key: torch.empty(shape, device="meta") for key, shape in keys.items()}

        monkeypatch.setattr(load_module, "read_weights", read)

    def test_the_other_families_have_the_same_keys(self, published_keys):
        for name in ("denoising_unet.pth", "reference_unet.pth", "motion_module.pth"):
            for family in ("champ", "aniportrait"):
                assert published_keys[family][name] == published_keys["moore"][name]

    @pytest.mark.parametrize("family", ["moore", "musepose"])
    def test_unet_and_reference_net(self, reads, family):
        folder = Path(family)
        requested = "musepose" if family == "musepose" else "auto"
        files = read_denoising_unet(
            folder / "denoising_unet.pth", folder / "motion_module.pth", family=requested
        )
        self.check(files.report, 1312.7)
        assert files.config == UNetConfig()
        assert len(load_denoising_unet(files).state_dict()) == 686 + 588 - 42
        _, report = load_reference_net(folder / "reference_unet.pth")
        self.check(report, 859.5)

    def test_the_face_model(self, reads):
        folder = Path("moore/reenact")
        files = read_denoising_unet(folder / "denoising_unet.pth")
        self.check(files.report, 1312.7)
        assert files.temporal == TemporalConfig()
        load_denoising_unet(files)
        _, report = load_reference_net(folder / "reference_unet.pth")
        self.check(report, 859.5)
        for name in ("pose_guider1.pth", "pose_guider2.pth"):
            self.check(load_pose_guider(folder / name)[1], 1.1)

    @pytest.mark.parametrize("family", ["moore", "musepose"])
    def test_pose_guider(self, reads, family):
        self.check(load_pose_guider(Path(family) / "pose_guider.pth")[1], 1.1)

    @staticmethod
    def check(report, millions):
        assert report.missing == report.unexpected == report.conflicts == ()
        assert all(
            is_position_table(key) or key.startswith(("conv_norm_out.", "conv_out."))
            for key in report.unused
        )
        assert round(report.parameters / 1e6, 1) == millions
