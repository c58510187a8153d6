"""What each stage trains, and that nothing else moves."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from animate_anyone_core.__main__ import main
from animate_anyone_core.checkpoints.key_map import is_temporal
from animate_anyone_core.checkpoints.model_folder import load_models
from animate_anyone_core.checkpoints.weight_files import read_weights
from animate_anyone_core.lab.training.config import OptimizerConfig, TrainConfig
from animate_anyone_core.lab.training.config_files import make_config, merge
from animate_anyone_core.lab.training.ema import EMA
from animate_anyone_core.lab.training.initial_weights import load_frozen_encoders, make_networks
from animate_anyone_core.lab.training.loop import optimizer_step
from animate_anyone_core.lab.training.lora_layers import is_idle
from animate_anyone_core.lab.training.networks import TrainedNetworks
from animate_anyone_core.lab.training.optimizers import (
    make_optimizers,
    rate_of_step,
    set_learning_rates,
)
from animate_anyone_core.lab.training.run import Run, start_run
from animate_anyone_core.lab.training.stages import choose_trained, trained_parameters
from animate_anyone_core.lab.training.train import train
from animate_anyone_core.video import read_video, write_video

pytestmark = pytest.mark.slow


def networks_of(config: TrainConfig) -> TrainedNetworks:
    return make_networks(config.init, config.network, config.stage, config.seed)


@pytest.fixture(scope="module")
def first_stage(settings, tmp_path_factory):
    """Ten steps of stage 1 on two cached scenes, and their losses."""
    folder = tmp_path_factory.mktemp("stage1")
    changes = {
        "steps": 30,
        "data": {"cache_scenes": 2, "cache_frames": 4},
        "optimizer": {"lr": 3e-3},
        "run": {"checkpoint_every": 30},
    }
    return train(make_config(TrainConfig, merge(settings, changes)), folder)


@pytest.fixture(scope="module")
def second_stage(settings, first_stage, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stage2")
    init = {"kind": "files"} | dict.fromkeys(("unet", "reference", "pose_guider"), str(first_stage))
    changes = {
        "stage": 2,
        "steps": 2,
        "batch_size": 2,
        "data": {"num_frames": 4, "cache_scenes": 2, "cache_frames": 6},
        "init": init,
        "run": {"gradient_checkpointing": True, "sample_every": 2, "num_samples": 1},
    }
    return train(make_config(TrainConfig, merge(settings, changes)), folder)


def test_steps_lower_the_loss(first_stage):
    lines = (first_stage.parent / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


def test_stage_1_trains_all_three_networks(settings, first_stage):
    config = make_config(TrainConfig, settings)
    networks = networks_of(config)
    trained = {name for name, _ in trained_parameters(networks, 1, "all")}
    for file, part in (
        ("denoising_unet", networks.denoising_unet),
        ("reference_unet", networks.reference_net),
        ("pose_guider", networks.pose_guider),
    ):
        after = read_weights(first_stage / f"{file}.safetensors")
        prefix = {"reference_unet": "reference_net"}.get(file, file)
        for name, value in part.state_dict().items():
            moved = not torch.equal(value, after[name])
            assert moved == (f"{prefix}.{name}" in trained), name


def copies(*networks: nn.Module) -> list[dict[str, torch.Tensor]]:
    """Everything in the networks' state, buffers too."""
    return [{k: v.detach().clone() for k, v in n.state_dict().items()} for n in networks]


def moved(before: dict[str, torch.Tensor], network: nn.Module) -> set[str]:
    """Entries that are not the same bit for bit."""
    after = network.state_dict()
    assert before.keys() == after.keys()
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


def take_steps(config: TrainConfig, folder: Path, count: int) -> Run:
    """Real steps of the loop, pictures encoded on the fly; checks what no stage may touch."""
    run = start_run(config, folder)
    vae, clip = run.encoders.vae, run.encoders.image_encoder
    frozen, learner = copies(vae, clip), run.learner
    for step in range(1, count + 1):
        set_learning_rates(learner.optimizers, 1.0)
        optimizer_step(learner, run.batches)
        learner.ema.update(step)
    assert moved(frozen[0], vae) == set()
    assert moved(frozen[1], clip) == set()
    assert not any(
        p.requires_grad or p.grad is not None for n in (vae, clip) for p in n.parameters()
    )
    return run


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_stage_1_changes_no_bit_of_vae_and_clip(settings, tmp_path, kind):
    config = make_config(TrainConfig, merge(settings, {"optimizer": {"kind": kind}}))
    digests = {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in (config.init.vae, config.init.image_encoder)
        for path in Path(folder).rglob("*.safetensors")
    }
    before = networks_of(config).state_dict()
    run = take_steps(config, tmp_path, 3)
    assert moved(before, run.networks), "the steps were real"
    assert len(digests) == 2
    for path, digest in digests.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_stage_2_changes_no_bit_outside_the_temporal_layers(settings, first_stage, tmp_path, kind):
    init = {"kind": "files"} | dict.fromkeys(("unet", "reference", "pose_guider"), str(first_stage))
    changes = {
        "stage": 2,
        "steps": 3,
        "batch_size": 2,
        "data": {"num_frames": 3},
        "init": init,
        "optimizer": {"kind": kind, "weight_decay": 0.1},
        "run": {"channels_last": True},  # must be left out here: PyTorch would crash
    }
    config = make_config(TrainConfig, merge(settings, changes))
    before = networks_of(config).state_dict()
    run = take_steps(config, tmp_path, 3)
    temporal = {name for name in before if is_temporal(name)}
    assert moved(before, run.networks) == temporal, "all of these, and nothing else"
    with run.learner.ema.applied():
        assert moved(before, run.networks) <= temporal


def test_stage_2_changes_nothing_but_the_temporal_layers(first_stage, second_stage):
    for file in ("denoising_unet", "reference_unet", "pose_guider"):
        before = read_weights(first_stage / f"{file}.safetensors")
        after = read_weights(second_stage / f"{file}.safetensors")
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before), file
    motion = read_weights(second_stage / "motion_module.safetensors")
    assert all(is_temporal(name) for name in motion)
    last = [
        value
        for name, value in motion.items()
        if name.endswith("temporal_transformer.proj_out.weight")
    ]
    assert last
    assert all(value.abs().max() > 0 for value in last), "they start at zero"


def test_a_trained_folder_loads_with_complete_reports(encoders_folder, second_stage):
    models, reports = load_models(
        second_stage,
        vae=encoders_folder / "vae",
        image_encoder=encoders_folder / "image_encoder",
    )
    assert all(report.is_complete and not report.unexpected for report in reports)
    assert models.profile.name == "tiny"
    assert models.profile.noise.beta_schedule == "scaled_linear"
    assert models.profile.context_frames == 4
    assert models.denoising_unet.temporal.max_frames == 8
    assert models.denoising_unet.temporal.norm_num_groups == 4


def test_a_trained_model_animates_from_the_command_line(encoders_folder, second_stage, tmp_path):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    Image.fromarray(frames[0]).save(tmp_path / "hero.png")
    write_video(tmp_path / "poses.mp4", frames, 12)
    options = {
        "--models": second_stage,
        "--vae": encoders_folder / "vae",
        "--image-encoder": encoders_folder / "image_encoder",
        "--reference": tmp_path / "hero.png",
        "--poses": tmp_path / "poses.mp4",
        "--output": tmp_path / "out.mp4",
        "--steps": 1,
    }
    assert main(["animate", *(str(x) for pair in options.items() for x in pair)]) == 0
    # size and window are the run's own: 64x64 pixels, 4 frames, so 5 frames take two windows
    assert read_video(tmp_path / "out.mp4").frames.shape == (5, 64, 64, 3)


def test_inspect_finds_a_trained_model_complete(encoders_folder, second_stage, tmp_path, capsys):
    folder = tmp_path / "model"
    shutil.copytree(second_stage, folder)
    for part in ("vae", "image_encoder"):
        shutil.copytree(encoders_folder / part, folder / part)
    assert main(["inspect", "--json", str(folder)]) == 0
    (facts,) = json.loads(capsys.readouterr().out)
    assert facts["is_model"] is True
    assert facts["problems"] == []
    assert main(["inspect", str(folder)]) == 0
    assert "a model's folder, complete, family tiny" in capsys.readouterr().out


def test_a_sample_grid_is_written_and_scored(second_stage):
    run = second_stage.parent
    assert (run / "samples" / "step_0000002.png").is_file()
    last = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert any("validation/psnr" in entry for entry in last)


def test_stage_1_without_last_block_trains_no_parameter_of_it(settings):
    networks = networks_of(make_config(TrainConfig, settings))
    choose_trained(networks, 1, "without-last-block")
    for name, parameter in networks.reference_net.named_parameters():
        is_moot = any(part in name for part in (".0.norm2.", ".attn2.to_q.", ".attn2.to_k."))
        is_moot &= ".transformer_blocks." in name
        assert parameter.requires_grad == (not is_moot and "up_blocks.1." not in name), name


def test_stage_2_moves_the_whole_denoising_unet_where_that_is_asked(settings):
    config = make_config(TrainConfig, settings)
    networks = make_networks(config.init, config.network, 2, config.seed)
    choose_trained(networks, 2, "all", trained_spatial=True)
    for name, parameter in networks.named_parameters():
        moves = name.startswith("denoising_unet.") and not is_idle(name.rpartition(".")[0])
        assert parameter.requires_grad == moves, name


def test_exactly_what_the_features_depend_on_is_chosen(settings):
    config = make_config(TrainConfig, settings)
    networks = networks_of(config)
    appearance = torch.randn(1, 1, 8)
    reference_net, latents = networks.reference_net, torch.randn(1, 4, 8, 8)
    features = reference_net(latents, appearance)
    sum(value.square().sum() for value in features.values()).backward()
    chosen = {n for n, _ in trained_parameters(networks, 1, "all")}
    moot = []
    for name, parameter in reference_net.named_parameters():
        has_gradient = parameter.grad is not None
        if has_gradient and f"reference_net.{name}" not in chosen:
            moot.append(parameter)
        else:
            assert has_gradient == (f"reference_net.{name}" in chosen), name
    # over a single appearance token, queries, keys and the norm before them have no effect
    assert len(moot) == 4 * 6  # of six blocks: the last gives no tokens from behind its norm
    with torch.no_grad():
        for parameter in moot:
            parameter.add_(torch.randn_like(parameter))
        again = reference_net(latents, appearance)
    assert all(torch.allclose(value, again[path], atol=1e-5) for path, value in features.items())


def test_gradient_checkpointing_gives_the_same_gradients(settings):
    from animate_anyone_core.lab.training.frozen_encoders import Batch
    from animate_anyone_core.lab.training.objective import Objective

    config = make_config(TrainConfig, settings)
    generator = torch.Generator().manual_seed(0)

    def draw(*size):
        return torch.randn(size, generator=generator)

    batch = Batch(
        reference=draw(2, 4, 8, 8),
        appearance=draw(2, 1, 8),
        latents=draw(2, 4, 2, 8, 8),
        skeletons=draw(2, 3, 2, 64, 64).clamp(0, 1),
        noise=draw(2, 4, 2, 8, 8),
        t=torch.tensor([[5, 600], [300, 999]]),
        is_conditional=torch.tensor([[True, False], [True, True]]),
    )
    gradients = []
    for recompute in (False, True):
        networks = networks_of(config)
        networks(batch, Objective(config.objective), recompute).mean().backward()
        gradients.append([p.grad for p in networks.parameters()])
    for a, b in zip(*gradients, strict=True):
        assert (a is None) == (b is None)
        assert a is None or torch.allclose(a, b, atol=1e-6)


def test_checkpointing_keeps_one_layer_of_reference_net_at_a_time(settings):
    """On the way back, a layer is computed again only when the one after it is done with."""
    net = networks_of(make_config(TrainConfig, settings)).reference_net
    events = []
    blocks = (*net.down_blocks, net.mid_block, *net.up_blocks)
    layers = [block.resnets[0] for block in blocks]
    for number, layer in enumerate(layers):
        layer.register_forward_hook(lambda *_, n=number: events.append(("again", n)))
        layer.register_full_backward_hook(lambda *_, n=number: events.append(("back", n)))
    latents = torch.randn(1, 4, 8, 8, requires_grad=True)
    features = net(latents, torch.randn(1, 1, 8), recompute=True)
    events.clear()
    sum(value.square().sum() for value in features.values()).backward()
    order = reversed(range(len(layers)))
    assert events == [(what, number) for number in order for what in ("again", "back")]


def test_the_vae_sees_a_few_pictures_at_once(settings, monkeypatch):
    encoders = load_frozen_encoders(
        make_config(TrainConfig, settings).init, device=torch.device("cpu")
    )
    pictures = torch.randint(0, 256, (9, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        at_once = encoders.vae.encode(pictures / 127.5 - 1).latents
    seen = []
    encode = encoders.vae.encode
    monkeypatch.setattr(encoders.vae, "encode", lambda x: seen.append(len(x)) or encode(x))
    assert torch.allclose(encoders.encode(pictures), at_once, atol=1e-5)
    assert seen == [4, 4, 1]


def test_no_average_takes_no_memory():
    ema = EMA({"w": torch.nn.Parameter(torch.ones(1))}, decay=0.0)
    ema.update(1)
    assert ema.state_dict() == {}


def test_ema_follows_its_formula():
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    ema = EMA({"w": weight}, decay=0.9)
    expected = 1.0
    for step in range(1, 6):
        with torch.no_grad():
            weight.fill_(float(step))
        ema.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert ema.average["w"].item() == pytest.approx(expected, rel=1e-6)
    with ema.applied():
        assert weight.item() == pytest.approx(expected, rel=1e-6)
    assert weight.item() == 5.0


def test_learning_rate_warms_up_then_falls(settings):
    config = make_config(
        TrainConfig,
        merge(settings, {"optimizer": {"lr_schedule": "cosine", "lr_warmup_steps": 10}}),
    ).optimizer
    assert rate_of_step(config, 5, 100) < rate_of_step(config, 10, 100)
    assert rate_of_step(config, 100, 100) == pytest.approx(0.05)


def test_muon_moves_inner_matrices_and_adamw_the_rest(settings):
    config = make_config(TrainConfig, merge(settings, {"optimizer": {"kind": "muon"}}))
    networks = networks_of(config)
    names = dict(networks.named_parameters())
    orthogonal, rest = (
        {name for name, p in names.items() if any(p is q for q in o.param_groups[0]["params"])}
        for o in make_optimizers(config.optimizer, names)
    )
    assert orthogonal | rest == set(names)
    assert not orthogonal & rest
    assert "denoising_unet.mid_block.resnets.0.conv1.weight" in orthogonal
    assert "denoising_unet.conv_in.weight" in rest
    assert "reference_net.mid_block.resnets.0.conv1.bias" in rest


def test_the_rest_beside_muon_may_have_a_weight_decay_of_its_own():
    weights = {
        "inner": torch.nn.Parameter(torch.ones(2, 2)),
        "bias": torch.nn.Parameter(torch.ones(2)),
    }
    for given, expected in ((None, [0.1, 0.1]), (0.0, [0.1, 0.0])):
        config = OptimizerConfig(kind="muon", weight_decay=0.1, outer_weight_decay=given)
        optimizers = make_optimizers(config, weights)
        assert [o.param_groups[0]["weight_decay"] for o in optimizers] == expected
