"""What a training run is made of: frozen settings, each with its rule for resuming.

Resume rules, field by field: a setting that shapes the mathematics *must match* the run that wrote
the checkpoint, or resuming is an error. Settings of the run alone (how often to save, how many
workers) may change: the *new value wins*, and a warning says so.
"""

from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from ...errors import SettingsError
from ...images import check_video_size
from ...models.config import TemporalConfig, UNetConfig
from ...sampling.schedule import NoiseSchedule

DATA_KINDS = ("dancers", "clips")
INITS = ("scratch", "files")
MIXED_PRECISIONS = ("no", "fp16", "bf16")
OPTIMIZERS = ("adamw", "muon")
LR_SCHEDULES = ("constant", "cosine")
ATTENTIONS = ("fused", "matmul")
TRAINED_REFERENCE = ("all", "without-last-block")
GUIDER_LAYOUTS = ("published", "paper")


def _free(default: Any) -> Any:
    """A field that may change when a run is resumed."""
    return field(default=default, metadata={"resume": "new wins"})


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise SettingsError(f"{name} is one of {', '.join(choices)}, got {value!r}.")


def _check_least(name: str, value: float, least: float) -> None:
    if not value >= least:
        raise SettingsError(f"{name} must be at least {least}, got {value}.")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where samples come from.

    Attributes:
        kind: "dancers" (made up) or "clips" (real videos with poses).
        width: Picture width, a multiple of 8.
        height: Picture height, a multiple of 8.
        num_frames: Frames of a sample: in stage 2 a clip; in stage 1 pictures of the same
            character that share one run of ReferenceNet, each with its own noise and time.
        drawing: Style of the skeletons, see `pose.drawing_profiles`.
        path: Clips: a JSON list of video and pose pairs, or a folder; see `clips`.
        sample_margin: Clips, stage 1: least distance in frames of reference and target.
        frame_stride: Clips, stage 2: every how many frames one is taken.
        crop_scale: Clips: smallest part of a picture that the random crop keeps, 1 for all.
        crop_ratio: Clips: smallest change of the aspect ratio by the random crop, 1 for none.
        fps: Dancers: frames per second of a clip.
        split: Dancers: whose seeds, see `synthetic.splits`.
        cache_scenes: Encode this many scenes once and train on those; 0 encodes on the fly.
        cache_frames: Frames in a cached scene, more than `num_frames`.
        cache_path: Folder for cached scenes; None puts it into the output folder.
        num_workers: Processes that prepare samples; the samples do not depend on it.
    """

    kind: str = "dancers"
    width: int = 128
    height: int = 128
    num_frames: int = 1
    drawing: str = "moore"
    path: str | None = None
    sample_margin: int = 30
    frame_stride: int = 4
    crop_scale: float = 0.9
    crop_ratio: float = 0.9
    fps: float = 12.0
    split: str = "train"
    cache_scenes: int = 0
    cache_frames: int = 8
    cache_path: str | None = _free(None)
    num_workers: int = _free(0)

    def __post_init__(self) -> None:
        _check_choice("data.kind", self.kind, DATA_KINDS)
        check_video_size(self.width, self.height)
        _check_least("data.num_frames", self.num_frames, 1)
        _check_least("data.frame_stride", self.frame_stride, 1)
        _check_least("data.num_workers", self.num_workers, 0)
        if self.kind == "clips" and self.path is None:
            raise SettingsError(
                "data.path is missing: give a folder of clips, or a JSON list of "
                '{"video_path", "kps_path"}.'
            )
        if self.cache_scenes and self.cache_frames <= self.num_frames:
            raise SettingsError(
                f"data.cache_frames ({self.cache_frames}) must be more than data.num_frames "
                f"({self.num_frames}): one frame more is needed as the reference."
            )
        for name in ("crop_scale", "crop_ratio"):
            if not 0 < getattr(self, name) <= 1:
                raise SettingsError(f"data.{name} is above 0 and at most 1.")


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Shapes of networks made from scratch; files bring their own.

    Attributes:
        unet: Spatial part of DenoisingUNet and ReferenceNet.
        temporal: Temporal layers.
        guider_layout: "published" (ControlNet's condition encoder) or "paper".
        guider_widths: Channels of the Pose Guider's levels, four.
        profile: Name that the written files carry.
    """

    unet: UNetConfig = field(default_factory=UNetConfig)
    temporal: TemporalConfig = field(default_factory=TemporalConfig)
    guider_layout: str = "published"
    guider_widths: tuple[int, ...] = (16, 32, 96, 256)
    profile: str = "trained"

    def __post_init__(self) -> None:
        _check_choice("network.guider_layout", self.guider_layout, GUIDER_LAYOUTS)
        if len(self.guider_widths) != 4:
            raise SettingsError(
                f"network.guider_widths are four (the size falls to 1/8), got {self.guider_widths}."
            )


@dataclass(frozen=True, kw_only=True)
class InitConfig:
    """Where weights come from at the start.

    Attributes:
        kind: "scratch" or "files".
        unet: A `denoising_unet` of this family, or Stable Diffusion's UNet in diffusers' layout; a
            file, or a folder that holds it.
        reference: A `reference_unet`; None starts ReferenceNet from the same file as the UNet.
        pose_guider: A `pose_guider`, or a ControlNet in diffusers' layout, whose encoder of its
            condition picture is taken; None starts it from scratch.
        motion: AnimateDiff's or a published motion module; None takes the `motion_module` in the
            folder `unet`, and without one starts the layers from scratch.
        vae: Folder of a diffusers autoencoder, or "built-in".
        image_encoder: Folder of a transformers CLIP vision model with projection, or "built-in".
    """

    kind: str = "scratch"
    unet: str | None = None
    reference: str | None = None
    pose_guider: str | None = None
    motion: str | None = None
    vae: str | None = _free(None)
    image_encoder: str | None = _free(None)

    def __post_init__(self) -> None:
        _check_choice("init.kind", self.kind, INITS)
        if self.kind == "files" and self.unet is None:
            raise SettingsError(
                "init.unet is missing: name the UNet's weights to start from, or set "
                "init.kind to scratch."
            )


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """What is learnt.

    Attributes:
        noise: How noise grows over diffusion time, and what is predicted.
        snr_gamma: Cap of the min-SNR weight; 0 weighs all times alike.
        noise_offset: Strength of the noise that is one number a sample and channel.
        unconditional_rate: Share of samples that see neither appearance nor reference.
    """

    noise: NoiseSchedule = field(
        default_factory=lambda: NoiseSchedule(beta_schedule="scaled_linear")
    )
    snr_gamma: float = 5.0
    noise_offset: float = 0.05
    unconditional_rate: float = 0.1

    def __post_init__(self) -> None:
        _check_choice(
            "objective.noise.prediction_type",
            self.noise.prediction_type,
            ("v_prediction", "epsilon"),
        )
        if self.noise.prediction_type == "epsilon" and self.noise.rescale_betas_zero_snr:
            raise SettingsError(
                "Noise prediction learns nothing at zero terminal SNR, where the input is the "
                "answer. Set objective.noise.rescale_betas_zero_snr to false, or predict "
                "v_prediction."
            )
        if not 0 <= self.unconditional_rate <= 1:
            raise SettingsError(
                f"objective.unconditional_rate is from 0 to 1, got {self.unconditional_rate}."
            )
        _check_least("objective.snr_gamma", self.snr_gamma, 0)


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """How weights move.

    Attributes:
        kind: "adamw", as published; or "muon": orthogonal steps for inner matrices and convolutions
            (see `orthogonal_steps`), AdamW for the rest. From scratch it needs far fewer steps.
        lr: AdamW's learning rate after the warm-up.
        orthogonal_lr: That of orthogonal steps.
        lr_schedule: "constant", or "cosine" down to a twentieth at the last step.
        lr_warmup_steps: Steps over which the rate grows from 0.
        betas: AdamW's.
        weight_decay: AdamW's.
        epsilon: AdamW's.
        max_grad_norm: Gradients longer than this are shortened to it.
        ema_decay: Of the running average of the weights; 0 keeps none.
        trained_reference: "all", or "without-last-block", as the published training did.
    """

    kind: str = "adamw"
    lr: float = 1e-5
    orthogonal_lr: float = 0.02
    lr_schedule: str = "constant"
    lr_warmup_steps: int = 1
    betas: tuple[float, ...] = (0.9, 0.999)
    weight_decay: float = 1e-2
    epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    ema_decay: float = 0.0
    trained_reference: str = "without-last-block"

    def __post_init__(self) -> None:
        _check_choice("optimizer.kind", self.kind, OPTIMIZERS)
        _check_choice("optimizer.lr_schedule", self.lr_schedule, LR_SCHEDULES)
        _check_choice("optimizer.trained_reference", self.trained_reference, TRAINED_REFERENCE)
        for name in ("lr", "orthogonal_lr", "lr_warmup_steps", "weight_decay", "epsilon"):
            _check_least(f"optimizer.{name}", getattr(self, name), 0)
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise SettingsError(
                f"optimizer.betas are two numbers from 0 to below 1, got {list(self.betas)}."
            )
        if not self.max_grad_norm > 0:
            raise SettingsError(
                f"optimizer.max_grad_norm must be above 0, got {self.max_grad_norm}: every "
                "gradient would be cut to nothing."
            )
        if not 0 <= self.ema_decay < 1:
            raise SettingsError(f"optimizer.ema_decay is from 0 to below 1, got {self.ema_decay}.")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """How a run goes, without changing what it computes (but for its precision).

    Attributes:
        mixed_precision: "no", "fp16" or "bf16".
        gradient_checkpointing: Compute layers twice and keep less memory.
        attention: Kernel: "fused" (PyTorch's), or "matmul" (faster for small heads on a CPU).
        channels_last: Keep convolutions' weights in the layout that CPUs and tensor cores prefer.
        checkpoint_every: Steps between checkpoints.
        keep_checkpoints: How many of the newest are kept.
        sample_every: Steps between sample grids and their scores; 0 makes none.
        num_samples: Characters in a grid.
        sample_steps: Denoising steps for a sample.
        sample_guidance: Guidance for a sample.
        log_every: Steps between entries of the metrics.
        max_minutes: Stop, with a checkpoint, after this long; 0 for no limit.
        half_precision_files: Write the model's files in float16.
    """

    mixed_precision: str = "no"
    gradient_checkpointing: bool = _free(False)
    attention: str = _free("fused")
    channels_last: bool = _free(False)
    checkpoint_every: int = _free(500)
    keep_checkpoints: int = _free(2)
    sample_every: int = _free(500)
    num_samples: int = _free(6)
    sample_steps: int = _free(10)
    sample_guidance: float = _free(2.0)
    log_every: int = _free(10)
    max_minutes: float = _free(0.0)
    half_precision_files: bool = _free(False)

    def __post_init__(self) -> None:
        _check_choice("run.mixed_precision", self.mixed_precision, MIXED_PRECISIONS)
        _check_choice("run.attention", self.attention, ATTENTIONS)
        positive = ("checkpoint_every", "keep_checkpoints", "log_every", "num_samples")
        for name in (*positive, "sample_steps"):
            _check_least(f"run.{name}", getattr(self, name), 1)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A whole training run.

    Attributes:
        stage: 1 trains ReferenceNet, Pose Guider and the UNet without temporal layers on pictures;
            2 trains only the temporal layers, on clips.
        steps: Optimizer steps.
        batch_size: Samples of one optimizer step, over all processes.
        micro_batch_size: Samples of one forward in one process; the rest is accumulated.
        seed: Of the weights made from scratch, the data and the noise.
    """

    stage: int = 1
    steps: int = _free(30_000)
    batch_size: int = 4
    micro_batch_size: int | None = _free(None)
    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    init: InitConfig = field(default_factory=InitConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        if self.stage not in (1, 2):
            raise SettingsError(f"stage is 1 (pictures) or 2 (clips), got {self.stage}.")
        _check_least("steps", self.steps, 1)
        _check_least("batch_size", self.batch_size, 1)
        if self.stage == 2 and self.init.kind == "scratch":
            raise SettingsError(
                "Stage 2 trains only the temporal layers of a trained model: set init.kind to "
                "files and init.unet, init.reference and init.pose_guider to stage 1's result "
                "(or give its folder with --init-from)."
            )
        if self.optimizer.kind == "muon" and self.run.mixed_precision == "fp16":
            raise SettingsError(
                "optimizer.kind muon is two optimizers, and fp16's gradient scaling goes with one: "
                "the second would get gradients scaled down twice. Set run.mixed_precision to bf16 "
                "or no, or optimizer.kind to adamw."
            )

    def micro_batch(self, num_processes: int) -> int:
        """Samples of one forward in one process.

        Raises:
            SettingsError: If the batch cannot be shared out evenly.
        """
        share, rest = divmod(self.batch_size, num_processes)
        if rest:
            raise SettingsError(
                f"batch_size {self.batch_size} cannot be shared evenly by {num_processes} "
                "processes. Make it a multiple."
            )
        micro = share if self.micro_batch_size is None else self.micro_batch_size
        if micro < 1 or share % micro:
            raise SettingsError(
                f"micro_batch_size {micro} does not divide the {share} samples of each of "
                f"{num_processes} processes."
            )
        return micro


def flatten(config: Any, prefix: str = "") -> dict[str, tuple[Any, str]]:
    """List all settings as dotted name -> (value, resume rule)."""
    found: dict[str, tuple[Any, str]] = {}
    for entry in fields(config):
        value = getattr(config, entry.name)
        if is_dataclass(value):
            found |= flatten(value, f"{prefix}{entry.name}.")
        else:
            found[prefix + entry.name] = (value, entry.metadata.get("resume", "must match"))
    return found
