"""Train a model in one of the stages: the loop, with what is logged, sampled and saved."""

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import torch

from ...checkpoints.families import FamilyProfile
from ...progress import OnStep, silent
from .config import RunConfig, TrainConfig
from .initial_weights import motion_file, start_profile, teacher_profile
from .loop import Done, Every, fit
from .memory import present
from .metrics_log import MetricsLog
from .published_files import profile_of, student_profile, write_lora, write_model
from .run import Run, start_run
from .sample_grids import SampleGrids
from .sharding import gathered, is_sharded, save_state
from .student import beyond, origin_of


def train(config: TrainConfig, output: Path | str, on_step: OnStep = silent) -> Path:
    """Train, from the newest checkpoint in the output folder (see `run_folder`) if there is one.

    Returns:
        The folder with the trained model's files.

    Raises:
        SettingsError: If settings contradict each other or the run in the folder, or the loss is no
            number any more.
        CheckpointError: If a file to start from cannot be used.
        MediaError: If data cannot be read, or the disk is full or read-only.
        MissingDependencyError: If accelerate is not installed.
    """
    run = start_run(config, Path(output))
    start = time.monotonic()
    profile, sampled = _made_for(config, run)
    dtype = torch.float16 if config.run.half_precision_files else torch.float32
    metrics = MetricsLog(run.folder.path, run.first_step, run.accelerator.is_main_process)
    grids = SampleGrids(run.source, config.data, config.stage, sampled, profile)

    reach, origin = config.distillation.reach, origin_of(config, run.teacher)
    is_shared, is_first = is_sharded(run.networks), run.accelerator.is_main_process

    def write(folder: Path) -> None:
        if not (is_first or is_shared):
            return
        with run.learner.ema.applied(), beyond(run.networks, origin, reach):
            if config.stage == 3 and config.lora.rank:
                write_lora(folder, run.networks, profile, dtype=dtype)
            else:
                write_model(
                    folder,
                    run.networks,
                    profile,
                    stage=config.stage,
                    dtype=dtype,
                    is_writer=is_first,
                )
        motion = motion_file(config.init) if config.lora.rank and config.stage == 1 else None
        if motion is not None and is_first:  # what moves a character stays, and belongs to it
            shutil.copyfile(motion, folder / f"motion_module{motion.suffix}")

    def log(done: Done) -> None:
        speed = metrics.steps_per_second(done.step) * config.batch_size
        values = {"loss": done.loss, "lr": done.lr, "samples_per_second": speed}
        metrics.write(done.step, values)

    def sample(done: Done) -> None:
        with run.learner.ema.applied(), gathered(run.networks):
            if is_first:
                draw(done.step)
            run.accelerator.wait_for_everyone()

    def draw(step: int) -> None:
        path = run.folder.samples / f"step_{step:07d}.png"
        waiting = [run.encoders.vae, run.encoders.image_encoder, run.networks.reference_net]
        with (
            run.accelerator.autocast(),
            present(waiting[:2], run.accelerator.device, run.encoders.wait),
            present(waiting[2:], run.accelerator.device, run.networks.reference_waits),
        ):
            scores, grid = grids.write(path, run.networks, run.encoders)
        metrics.write(step, scores)
        metrics.picture(step, grid)

    fit(
        run.learner,
        run.batches,
        config.steps,
        first_step=run.first_step,
        tasks=(
            Every(config.run.log_every, log),
            Every(config.run.sample_every, sample),
            Every(config.run.checkpoint_every, lambda done: _save(run, config, done.step, write)),
        ),
        is_over=lambda: _is_over(run, config.run.max_minutes, start),
        on_step=on_step,
    )
    write(run.folder.model)
    run.accelerator.wait_for_everyone()
    metrics.close()
    return run.folder.model


def _made_for(config: TrainConfig, run: Run) -> tuple[FamilyProfile, RunConfig]:
    """What the trained weights expect, and how samples are taken meanwhile."""
    if config.stage == 3:
        student = student_profile(teacher_profile(config.init), config.distillation)
        return _by_noise(student, config), replace(
            config.run, sample_steps=student.num_inference_steps
        )
    # LoRA leaves the weights, and so their settings, as they are
    kept = start_profile(config.init) if config.lora.rank else None
    profile = kept or profile_of(
        run.networks.denoising_unet,
        config.network,
        config.data,
        config.objective.noise,
        config.stage,
        config.run.sample_guidance,
    )
    return _by_noise(profile, config), config.run


def _by_noise(profile: FamilyProfile, config: TrainConfig) -> FamilyProfile:
    """The same, sampled from shared noise where that is what was learned from."""
    return replace(profile, shared_noise=True) if config.objective.shared_noise else profile


def _save(run: Run, config: TrainConfig, step: int, write: Callable[[Path], None]) -> None:
    """Write everything that a run needs to go on, and the model's files; complete or not at all."""
    accelerator, folder = run.accelerator, run.folder
    part = folder.part(step)
    if accelerator.is_main_process:
        folder.begin(part, step)
    accelerator.wait_for_everyone()
    with folder.writing(step):
        if config.run.shard == "no":
            accelerator.save_state(str(part / "state"), safe_serialization=True)
        else:
            save_state(part / "state", run.networks, run.learner.optimizers, run.learner.ema)
    accelerator.wait_for_everyone()
    with folder.writing(step):
        write(part / "model")
    if accelerator.is_main_process:
        folder.finish(part, step, asdict(config), config.run.keep_checkpoints)
    accelerator.wait_for_everyone()


def _is_over(run: Run, max_minutes: float, start: float) -> bool:
    """Let the first process decide for all whether the time is up."""
    if not max_minutes:
        return False
    mine = time.monotonic() - start >= 60 * max_minutes and run.accelerator.is_main_process
    flag = torch.tensor(float(mine), device=run.accelerator.device)
    return bool(run.accelerator.reduce(flag, reduction="sum") > 0)
