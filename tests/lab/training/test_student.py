"""Students as whole runs: what learns, going on after a stop, the files, and their use."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from animate_anyone_core.__main__ import main
from animate_anyone_core.checkpoints.inspection import inspect_file
from animate_anyone_core.checkpoints.lora import with_lora
from animate_anyone_core.checkpoints.model_folder import load_models
from animate_anyone_core.checkpoints.weight_files import read_weights
from animate_anyone_core.errors import SettingsError
from animate_anyone_core.lab.training.config import TrainConfig
from animate_anyone_core.lab.training.config_files import make_config, merge
from animate_anyone_core.lab.training.initial_weights import make_networks
from animate_anyone_core.lab.training.lora_layers import lora_weights, merged_weights
from animate_anyone_core.lab.training.memory_plan import plan_step
from animate_anyone_core.lab.training.memory_tracking import ACTIVATIONS, FROZEN
from animate_anyone_core.lab.training.recipes import recipe_settings
from animate_anyone_core.lab.training.run import start_run
from animate_anyone_core.lab.training.student import beyond, origin_of, teacher_of
from animate_anyone_core.lab.training.train import train

UNET_FILES = ("denoising_unet", "motion_module")
_LORA = {"rank": 2, "networks": ["denoising_unet", "temporal"]}
needs_peft = pytest.mark.skipif(
    importlib.util.find_spec("peft") is None, reason="needs peft (the extra `scale`)"
)


@pytest.fixture(scope="module")
def teacher(settings, tmp_path_factory) -> Path:
    """A tiny model of both stages, one step each."""
    folder = tmp_path_factory.mktemp("teacher")
    quick = {"steps": 1, "batch_size": 1, "data": {"cache_scenes": 2, "cache_frames": 6}}
    first = train(make_config(TrainConfig, merge(settings, quick)), folder / "1")
    init = {"kind": "files"} | dict.fromkeys(("unet", "reference", "pose_guider"), str(first))
    second = merge(settings, quick, {"stage": 2, "init": init, "data": {"num_frames": 4}})
    return train(make_config(TrainConfig, second), folder / "2")


@pytest.fixture(scope="module")
def lessons(settings, teacher) -> dict:
    """Settings of a tiny student."""
    init = {"kind": "files"} | dict.fromkeys(("unet", "reference", "pose_guider"), str(teacher))
    return merge(
        settings,
        {
            "stage": 3,
            "steps": 4,
            "batch_size": 2,
            "data": {"num_frames": 4, "cache_scenes": 2, "cache_frames": 6},
            "init": init,
            "objective": {"unconditional_rate": 0.0},
            "distillation": {"student_steps": 2, "teacher_steps": 4, "guidance": 2.0},
            "optimizer": {"lr": 1e-3, "ema_decay": 0.9},
            "run": {"checkpoint_every": 2, "sample_every": 4, "num_samples": 1},
        },
    )


def config_of(lessons, **changes) -> TrainConfig:
    return make_config(TrainConfig, merge(lessons, changes))


def files_of(folder: Path) -> dict[str, torch.Tensor]:
    return {
        f"{file.stem}.{key}": value
        for file in sorted(folder.glob("*.safetensors"))
        for key, value in read_weights(file).items()
    }


WAYS = {
    "trajectory": {"distillation": {"adversarial": 0.1}},
    "own starts": {"distillation": {"start": "own", "huber": 0.1}},
    "consistency": {"distillation": {"method": "consistency"}},
    "data": {"distillation": {"method": "data", "adversarial": 0.1, "detail": 0.5}},
    "lora": {"distillation": {"adversarial": 0.1}, "lora": _LORA},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=needs_peft if way == "lora" else ()) for way in WAYS]
)
def test_a_stopped_student_ends_as_an_uninterrupted_one(lessons, tmp_path, way):
    config = config_of(lessons, **WAYS[way])

    def stop(done, total):
        if done == 3:  # the checkpoint of step 2 is there, step 3 is lost
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "stopped", stop)
    again = files_of(train(config, tmp_path / "stopped"))
    whole = files_of(train(config, tmp_path / "whole"))
    assert again.keys() == whole.keys()
    assert [name for name in whole if not torch.equal(whole[name], again[name])] == []


@pytest.mark.slow
def test_only_the_denoising_unet_learns_and_the_header_says_how_it_is_sampled(
    lessons, teacher, encoders_folder, tmp_path, capsys
):
    told = merge(lessons, {"objective": {"shared_noise": 0.5}})
    student = train(config_of(told), tmp_path / "student")
    before, after = files_of(teacher), files_of(student)
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == set(UNET_FILES)
    encoders = {name: encoders_folder / name for name in ("vae", "image_encoder")}
    profile = load_models(student, **encoders)[0].profile
    assert (profile.num_inference_steps, profile.guidance_scale) == (2, 1.0)
    assert profile.distilled_steps == 2
    assert profile.shared_noise
    line = (
        "a student: 2 steps without guidance, at times 999, 499, all frames from the same noise; in"
    )
    for name in UNET_FILES:
        assert line in str(inspect_file(student / f"{name}.safetensors"))
    assert "student" not in str(inspect_file(teacher / "denoising_unet.safetensors"))


@needs_peft
@pytest.mark.slow
def test_a_lora_of_a_student_acts_as_it_did_in_training(
    lessons, teacher, encoders_folder, tmp_path
):
    """Its file on the teacher is the network that was trained; without it the teacher is back."""
    encoders = {name: encoders_folder / name for name in ("vae", "image_encoder")}
    config = config_of(lessons, lora=_LORA, optimizer={"ema_decay": 0.0})
    run = start_run(config, tmp_path / "again")  # as before the first step
    file = train(config, tmp_path / "lora") / "lora.safetensors"
    base = load_models(teacher, **encoders)[0]
    changed, report = with_lora(base, file)
    assert changed.profile.distilled_steps == 2
    layers = len(lora_weights(run.networks.denoising_unet)) // 3
    assert report == f"lora.safetensors changes {layers} layers at strength 1."
    run.accelerator.load_state(str(tmp_path / "lora" / "checkpoints" / "step_0000004" / "state"))
    trained = merged_weights(run.networks.denoising_unet)
    own = changed.denoising_unet.state_dict()
    torch.testing.assert_close(trained, dict(own), rtol=1e-5, atol=1e-6)
    moved = [k for k, v in base.denoising_unet.state_dict().items() if not torch.equal(v, own[k])]
    assert len(moved) == layers


@pytest.mark.slow
def test_a_student_is_written_as_far_beyond_as_is_asked(
    lessons, teacher, encoders_folder, tmp_path
):
    """W = teacher + reach (learned - teacher); what goes on learning is not moved."""
    learned = train(config_of(lessons), tmp_path / "once")
    thick = config_of(lessons, distillation={"reach": 1.5, "overlap": 0})
    beyond = train(thick, tmp_path / "beyond")
    origin, near, far = (files_of(folder) for folder in (teacher, learned, beyond))
    for name, weight in far.items():
        torch.testing.assert_close(weight, torch.lerp(origin[name], near[name], 1.5))
    encoders = {name: encoders_folder / name for name in ("vae", "image_encoder")}
    assert load_models(beyond, **encoders)[0].profile.context_overlap == 0
    states = [next((tmp_path / run).glob("checkpoints/*4/state")) for run in ("once", "beyond")]
    once, again = (files_of(state) for state in states)
    assert [name for name in once if not torch.equal(once[name], again[name])] == []


def test_reach_is_measured_from_the_origin_that_is_named(settings, teacher):
    """A second student's from its first teacher; of other layers, it is refused."""
    init = {"kind": "files"} | dict.fromkeys(("unet", "reference", "pose_guider"), str(teacher))
    far = {"origin": str(teacher), "reach": 1.2}
    config = make_config(TrainConfig, merge(settings, {"init": init, "distillation": far}))
    config = replace(config, stage=2)
    start = make_networks(config.init, config.network, 2, seed=0)
    with torch.no_grad():
        next(start.denoising_unet.parameters()).add_(1.0)
    origin = origin_of(config, start)
    assert origin is not None
    before, after = (x.denoising_unet.state_dict() for x in (origin, start))
    moved = [name for name, weight in before.items() if not torch.equal(weight, after[name])]
    assert len(moved) == 1
    for changes in ({"origin": None}, {"reach": 1.0}):
        same = replace(config, distillation=replace(config.distillation, **changes))
        assert origin_of(same, start) is start
    other = replace(config, distillation=replace(config.distillation, origin="built-in"))
    with pytest.raises(SettingsError, match=r"distillation\.origin built-in has other layers"):
        origin_of(other, start)


@pytest.mark.slow
def test_learning_through_all_steps_counts_more_memory_than_through_one(lessons):
    """Of activations, which grow with the steps; recomputing them spares that again."""
    one, all_steps, again = (
        plan_step(config_of(lessons, distillation=way, run=run))
        for way, run in (
            ({"method": "trajectory"}, {}),
            ({"method": "data", "detail": 1.0}, {}),
            ({"method": "data", "detail": 1.0}, {"gradient_checkpointing": True}),
        )
    )
    assert all_steps.total > one.total
    assert again.total < all_steps.total


@needs_peft
@pytest.mark.slow
def test_a_lora_counts_less_memory_than_whole_weights(lessons):
    """The plan knows the teacher: a copy beside whole weights, the network itself beside a LoRA."""
    whole, lora = (
        plan_step(config_of(lessons, lora=_LORA | {"rank": rank}, optimizer={"ema_decay": 0.0}))
        for rank in (0, 1)
    )
    assert lora.peak[FROZEN] > 0
    assert lora.total < whole.total


@needs_peft
@pytest.mark.slow
def test_layers_computed_twice_teach_a_lora_the_same(lessons, tmp_path):
    """The critic looks through layers without the LoRA: the second time, too, when gradients pass."""
    once, twice = (
        files_of(
            train(
                config_of(lessons, **WAYS["lora"], steps=2, run={"gradient_checkpointing": again}),
                tmp_path / str(again),
            )
        )
        for again in (False, True)
    )
    assert once.keys() == twice.keys()
    for name, weight in once.items():
        torch.testing.assert_close(twice[name], weight, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.slow
def test_what_the_critic_looks_through_is_computed_twice_as_well(lessons):
    """Else all layers of the teacher would wait for its gradient."""
    way = {"teacher_steps": 2, "guidance": 1.0}
    run = {"gradient_checkpointing": True}
    without, beside = (
        plan_step(config_of(lessons, distillation=way | {"adversarial": weight}, run=run))
        for weight in (0.0, 0.1)
    )
    assert beside.peak[ACTIVATIONS] < 1.5 * without.peak[ACTIVATIONS]


def test_a_teacher_in_fewer_bits_is_gone_beyond_too(settings):
    """In the student's own type, and only while it is asked for."""
    config = make_config(TrainConfig, settings)
    student = make_networks(config.init, config.network, 1, seed=0)
    teacher = teacher_of(student, torch.device("cpu"))
    teacher.denoising_unet.to(torch.bfloat16)
    weight = next(student.denoising_unet.parameters())
    origin = next(teacher.denoising_unet.parameters()).float()
    with torch.no_grad():
        weight.add_(1.0)
    learned = weight.detach().clone()
    with beyond(student, teacher, 1.5):
        assert weight.dtype == torch.float32
        torch.testing.assert_close(weight.detach(), origin + 1.5 * (learned - origin))
    assert torch.equal(weight, learned)


def test_the_teacher_is_a_copy_on_the_runs_device_and_shares_what_does_not_learn(settings):
    config = make_config(TrainConfig, settings)
    networks = make_networks(config.init, config.network, 1, seed=0)
    here, elsewhere = (teacher_of(networks, torch.device(name)) for name in ("cpu", "meta"))
    weights = networks.denoising_unet.state_dict()
    for name, copy in here.denoising_unet.state_dict().items():
        assert torch.equal(copy, weights[name])
        assert copy.data_ptr() != weights[name].data_ptr()
    assert {p.device.type for p in elsewhere.denoising_unet.parameters()} == {"meta"}
    assert not any(p.requires_grad for p in here.denoising_unet.parameters())
    assert here.reference_net is networks.reference_net
    assert here.pose_guider is networks.pose_guider


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"run": {"shard": "full"}}, r"run\.shard is full, but stage 3 needs its whole teacher"),
        ({"lora": {"rank": 2, "networks": ["reference_net"]}}, "ReferenceNet gets no LoRA: set"),
        ({"distillation": {"detail": 1.0}}, "method trajectory does not see: set"),
        (
            {
                "distillation": {"method": "data", "detail": 1.0},
                "run": {"memory": "16gb"},
                "optimizer": {"ema_decay": 0.0},
            },
            r"with run\.memory 16gb the VAE waits on the CPU: set run\.memory to plain or 24gb",
        ),
    ],
)
def test_what_stage_3_cannot_do_is_said(changes, told):
    with pytest.raises(SettingsError, match=told):
        make_config(TrainConfig, merge(*recipe_settings("distill"), changes))


def test_skeletons_in_a_style_that_the_teacher_does_not_know_are_refused(tmp_path):
    changes = {"data": {"drawing": "musepose", "cache_scenes": 0}, "run": {"mixed_precision": "no"}}
    config = make_config(TrainConfig, merge(*recipe_settings("distill"), changes))
    with pytest.raises(SettingsError, match=r"know skeletons in the style moore; data\.drawing is"):
        start_run(config, tmp_path)


@needs_peft
@pytest.mark.slow
def test_the_command_animates_with_a_students_lora(tmp_path, caplog):
    """From the recipe to a video, on the built-in model."""
    few = {"steps": 1, "batch_size": 1, "data.cache_scenes": 1, "data.num_frames": 4}
    few |= {"data.cache_frames": 5, "lora.rank": 2, "run.sample_every": 0}
    few |= {"run.mixed_precision": "no"}  # one process knows one precision
    settings = [part for name, value in few.items() for part in ("--set", f"{name}={value}")]
    main(["train", "--recipe", "distill", "--output", str(tmp_path / "run"), *settings])
    lora = tmp_path / "run" / "model" / "lora.safetensors"
    sample = Path(__file__).parents[3] / "animate_anyone_core" / "builtin" / "samples"
    options = ["--reference", str(sample / "character_a.png"), "--poses"]
    options += [str(sample / "driving.json"), "--max-frames", "2", "--lora", str(lora)]
    caplog.set_level("INFO", "animate_anyone")
    assert main(["animate", *options, "--output", str(tmp_path / "a.mp4")]) == 0
    assert "The weights are a student: 4 steps without guidance" in caplog.text
    caplog.clear()
    wrong = ["--steps", "5", "--guidance", "3.5", "--speed", "fast"]
    assert main(["animate", *options, *wrong, "--output", str(tmp_path / "b.mp4")]) == 0
    assert "5 steps and guidance 3.5 cost more or look worse" in caplog.text
    assert "--speed leaves nothing out" in caplog.text
    assert inspect_file(lora).made_for.startswith("a student: 4 steps")
