"""What a training run is made of: frozen settings, each with its rule for resuming.

Resume rules, field by field: a setting that shapes the mathematics *must match* the run that wrote
the checkpoint, or resuming is an error. Settings of the run alone (how often to save, how many
workers) may change: the *new value wins*, and a warning says so.
"""

from dataclasses import asdict, dataclass, field, replace

from ...borders.networks import NOISE
from ...borders.options import check_made_size
from ...borders.values import check_values
from ...errors import SettingsError
from ...images import check_video_size
from ...models.config import TemporalConfig, UNetConfig
from ...pose.drawing_profiles import PROFILES
from ...sampling.schedule import NoiseSchedule
from .distillation_config import DistillationConfig
from .memory import MEMORY, check_memory
from .settings import check_choice, check_limits, setting


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where samples come from.

    Attributes:
        kind: "dancers" (made up), "replaced-dancers" (each in another's place, before a moving
            background) or "clips" (real videos with poses).
        width: Picture width, a multiple of 8.
        height: Picture height, a multiple of 8.
        num_frames: Frames of a sample: in stage 2 a clip; in stage 1 pictures of the same
            character that share one run of ReferenceNet, each with its own noise and time.
        drawing: Style of the skeletons, see `pose.drawing_profiles`.
        path: Clips: a JSON list of video and pose pairs, or a folder; see `clips`.
        prior: Scenes of other people among those of `path`, so that what they look like is not
            forgotten: clips, likewise, or "dancers".
        prior_share: Their share.
        sample_margin: Clips, stage 1: least distance in frames of reference and target.
        frame_stride: Clips, stage 2: every how many frames one is taken.
        crop_scale: Clips: smallest part of a picture that the random crop keeps, 1 for all.
        crop_ratio: Clips: smallest change of the aspect ratio by the random crop, 1 for none.
        fps: Dancers: frames per second of a clip.
        split: Dancers: whose seeds, see `synthetic.splits`.
        behind: Dancers: share of the pictures, the first aside, that are turned to show the dancer
            from behind; of clips, share of those that are turned around as a whole.
        bare: Dancers: share of the scenes whose skeletons lack face and hands.
        standing: Dancers: share of the samples whose reference stands and faces the viewer, as the
            first picture of every scene then does.
        cache_scenes: Encode this many scenes once and train on those; 0 encodes on the fly.
        cache_frames: Frames in a cached scene, more than `num_frames`.
        cache_path: Folder for cached scenes; None puts it into the output folder.
        num_workers: Processes that prepare samples; the samples do not depend on it.
        decoder_threads: Clips: threads that decode a video, in each process; 0 for as many as there
            are processors. The samples do not depend on it.
        fetch_gb: Shards elsewhere: gigabytes of this machine's disk, in TMPDIR, that fetched clips may
            take. The samples do not depend on it.
    """

    kind: str = setting("dancers", choices=("dancers", "replaced-dancers", "clips"))
    width: int = 128
    height: int = 128
    num_frames: int = setting(1, least=1)
    drawing: str = setting("moore", choices=tuple(PROFILES))
    path: str | None = None
    prior: str | None = None
    prior_share: float = 0.5
    sample_margin: int = setting(30, least=0)
    frame_stride: int = setting(4, least=1)
    crop_scale: float = 0.9
    crop_ratio: float = 0.9
    fps: float = setting(12.0, least=0.1)
    split: str = "train"
    behind: float = setting(0.0, least=0)
    bare: float = setting(0.0, least=0)
    standing: float = setting(0.0, least=0)
    cache_scenes: int = setting(0, least=0)
    cache_frames: int = 8
    cache_path: str | None = setting(None, is_free=True)
    num_workers: int = setting(0, is_free=True, least=0)
    decoder_threads: int = setting(1, is_free=True, least=0)
    fetch_gb: float = setting(20.0, is_free=True, least=0)

    def __post_init__(self) -> None:
        check_limits(self, "data.")
        check_video_size(self.width, self.height)
        check_made_size(self.width, self.height)
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
        if not 0 <= self.prior_share < 1:
            raise SettingsError(f"data.prior_share is from 0 to below 1, got {self.prior_share}.")
        for name in ("crop_scale", "crop_ratio"):
            if not 0 < getattr(self, name) <= 1:
                raise SettingsError(f"data.{name} is above 0 and at most 1.")


#: What a network that replaces a person sees, in the words of `FamilyProfile.extra_inputs`.
REPLACEMENT = ("target", "mask")


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Shapes of networks made from scratch; files bring their own.

    Attributes:
        unet: Spatial part of DenoisingUNet and ReferenceNet.
        temporal: Temporal layers.
        guider_layout: "published" (ControlNet's condition encoder) or "paper".
        guider_widths: Channels of the Pose Guider's levels, four.
        profile: Name that the written files carry.
        extra_inputs: What the denoising UNet sees behind the noisy latents: nothing, or "target" and
            "mask", the video in which a person is replaced; new channels start at zero.
    """

    unet: UNetConfig = field(default_factory=UNetConfig)
    temporal: TemporalConfig = field(default_factory=TemporalConfig)
    guider_layout: str = setting("published", choices=("published", "paper"))
    guider_widths: tuple[int, ...] = (16, 32, 96, 256)
    profile: str = "trained"
    extra_inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_limits(self, "network.")
        if self.extra_inputs not in ((), REPLACEMENT):
            raise SettingsError(
                f"network.extra_inputs are none, or {list(REPLACEMENT)}, got {list(self.extra_inputs)}."
            )
        if len(self.guider_widths) != 4:
            raise SettingsError(
                f"network.guider_widths are four (the size falls to 1/8), got {self.guider_widths}."
            )

    def widened(self, unet: UNetConfig) -> UNetConfig:
        """A UNet's shapes with input channels for `extra_inputs` behind those of the latents."""
        channels = sum(1 if name == "mask" else unet.out_channels for name in self.extra_inputs)
        return replace(unet, in_channels=unet.out_channels + channels)


@dataclass(frozen=True, kw_only=True)
class InitConfig:
    """Where weights come from at the start.

    Attributes:
        kind: "scratch" or "files". The names of networks may all be "built-in".
        unet: A `denoising_unet` of this family, or Stable Diffusion's UNet in diffusers' layout; a
            file, or a folder that holds it.
        reference: A `reference_unet`; None starts ReferenceNet from the same file as the UNet.
        pose_guider: A `pose_guider`, or a ControlNet in diffusers' layout, whose encoder of its
            condition picture is taken; None starts it from scratch.
        motion: AnimateDiff's or a published motion module; None takes the `motion_module` in the
            folder `unet`, and without one starts the layers from scratch.
        vae: Folder of a diffusers autoencoder, or "built-in".
        image_encoder: Folder of a transformers CLIP vision model with projection, or "built-in".
        widths: Channels of every level, to which files of fewer are widened; see `widening`.
    """

    kind: str = setting("scratch", choices=("scratch", "files"))
    unet: str | None = None
    reference: str | None = None
    pose_guider: str | None = None
    motion: str | None = None
    vae: str | None = setting(None, is_free=True)
    image_encoder: str | None = setting(None, is_free=True)
    widths: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_limits(self, "init.")
        if self.kind == "files" and self.unet is None:
            advice = "name the UNet's weights to start from, or set init.kind to scratch."
            raise SettingsError(f"init.unet is missing: {advice}")


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """What is learnt.

    Attributes:
        noise: How noise grows over diffusion time, and what is predicted.
        snr_gamma: Cap of the min-SNR weight; 0 weighs all times alike.
        noise_offset: Strength of the noise that is one number a sample and channel.
        unconditional_rate: Share of samples that see neither appearance nor reference.
        time_bias: How much more often noisy times are drawn: their density grows as t to the power of
            this less 1; 1 draws all alike.
        pointing: Stages 1 and 2: what counts beside the error that attention looks elsewhere in the
            reference than where that shows the same part of the body; see `pointing`. Dancers only.
        shared_noise: Stages 2 and 3: share of the clips whose frames all have the same noise; above 0,
            sampling starts so by default.
        body: How many times errors next to the skeleton count, where a body is; latents', and of method
            "data" the pixels'.
        carrying: And what counts, as a share of the latents' variance, that it does not hand over.
    """

    noise: NoiseSchedule = field(
        default_factory=lambda: NoiseSchedule(beta_schedule="scaled_linear")
    )
    snr_gamma: float = setting(5.0, least=0)
    noise_offset: float = 0.05
    unconditional_rate: float = 0.1
    time_bias: float = setting(1.0, least=1)
    pointing: float = setting(0.0, least=0)
    carrying: float = setting(0.0, least=0)
    body: float = setting(1.0, least=1)
    shared_noise: float = setting(0.0, least=0)

    def __post_init__(self) -> None:
        check_limits(self, "objective.")
        check_values("objective.noise", asdict(self.noise), NOISE)
        kinds, kind = ("v_prediction", "epsilon"), self.noise.prediction_type
        check_choice("objective.noise.prediction_type", kind, kinds)
        if kind == "epsilon" and self.noise.rescale_betas_zero_snr:
            raise SettingsError(
                "Noise prediction learns nothing at zero terminal SNR, where the input is the "
                "answer. Set objective.noise.rescale_betas_zero_snr to false, or predict "
                "v_prediction."
            )
        for name in ("unconditional_rate", "shared_noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(f"objective.{name} is from 0 to 1, got {getattr(self, name)}.")


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """How weights move.

    Attributes:
        kind: "adamw", as published; or "muon": Muon for inner matrices and convolutions (see
            `muon`), AdamW for the rest. From scratch it needs far fewer steps.
        lr: AdamW's learning rate after the warm-up.
        orthogonal_lr: Muon's, whose steps are orthogonal matrices.
        lr_schedule: "constant", or "cosine" down to `lr_last_share` at the last step.
        lr_last_share: Share of the rate that a cosine leaves at the last step.
        lr_warmup_steps: Steps over which the rate grows from 0.
        betas: AdamW's: how slowly its averages of gradients and of their squares move.
        weight_decay: Share of the weights taken off at every step, in learning rates.
        outer_weight_decay: AdamW's where there is Muon; None takes `weight_decay`.
        epsilon: AdamW's: what keeps its division from zero.
        max_grad_norm: Gradients longer than this are shortened to it.
        ema_decay: Of the running average (EMA) of the weights; 0 keeps none.
        trained_reference: What of ReferenceNet trains: "all", "without-last-block", as in the
            published training, or "none".
        trained_spatial: Stage 2: whether the denoising UNet's spatial layers learn on with the temporal
            ones, which the published training does not.
    """

    kind: str = setting("adamw", choices=("adamw", "muon"))
    lr: float = setting(1e-5, least=0)
    orthogonal_lr: float = setting(0.02, least=0)
    lr_schedule: str = setting("constant", choices=("constant", "cosine"))
    lr_last_share: float = setting(0.05, least=0)
    lr_warmup_steps: int = setting(1, least=0)
    betas: tuple[float, ...] = (0.9, 0.999)
    weight_decay: float = setting(1e-2, least=0)
    outer_weight_decay: float | None = setting(None, least=0)
    epsilon: float = setting(1e-8, least=0)
    max_grad_norm: float = setting(1.0, unbounded=True)
    ema_decay: float = 0.0
    trained_reference: str = setting(
        "without-last-block", choices=("all", "without-last-block", "none")
    )
    trained_spatial: bool = False

    def __post_init__(self) -> None:
        check_limits(self, "optimizer.")
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


#: Networks that can get LoRA layers.
LORA_NETWORKS = ("denoising_unet", "reference_net", "temporal")


@dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """Small layers that learn in place of whole weights, see `lora_layers`.

    Attributes:
        rank: Of the layers; 0 trains whole weights.
        alpha: The layers count alpha / rank; None is the rank.
        networks: Which get them: "denoising_unet" (its spatial part), "reference_net", "temporal", which
            are there in stage 2 only.
    """

    rank: int = setting(0, least=0)
    alpha: float | None = None
    networks: tuple[str, ...] = LORA_NETWORKS

    def __post_init__(self) -> None:
        check_limits(self, "lora.")
        for name in self.networks:
            check_choice("lora.networks", name, LORA_NETWORKS)
        if self.alpha is not None and not self.alpha > 0:
            raise SettingsError(f"lora.alpha must be above 0, got {self.alpha}.")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """How a run goes, without changing what it computes (but for its precision).

    Attributes:
        mixed_precision: What layers compute in where it is safe: "no" (float32), "fp16" or "bf16".
        memory: "plain", or what a card of "24gb", "16gb" or "12gb" takes at the published sizes, see
            `memory`; other than plain, all is computed in bfloat16, whatever `mixed_precision` says.
        shard: Have several processes share out weights, gradients and states: "full" over all (FSDP2),
            "hybrid" over those of each machine (HSDP); "no" keeps all in each. See `sharding`.
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

    mixed_precision: str = setting("no", choices=("no", "fp16", "bf16"))
    memory: str = setting("plain", choices=tuple(MEMORY))
    shard: str = setting("no", choices=("no", "full", "hybrid"))
    gradient_checkpointing: bool = setting(False, is_free=True)
    attention: str = setting("fused", is_free=True, choices=("fused", "matmul"))
    channels_last: bool = setting(False, is_free=True)
    checkpoint_every: int = setting(500, is_free=True, least=1)
    keep_checkpoints: int = setting(2, is_free=True, least=1)
    sample_every: int = setting(500, is_free=True)
    num_samples: int = setting(6, is_free=True, least=1)
    sample_steps: int = setting(10, is_free=True, least=1)
    sample_guidance: float = setting(2.0, is_free=True)
    log_every: int = setting(10, is_free=True, least=1)
    max_minutes: float = setting(0.0, is_free=True, least=0)
    half_precision_files: bool = setting(False, is_free=True)

    def __post_init__(self) -> None:
        check_limits(self, "run.")
        if self.shard != "no" and self.memory != "plain":
            raise SettingsError(
                f"run.shard {self.shard} shares out float32 weights and states, run.memory "
                f"{self.memory} keeps them in fewer bits. Set run.memory to plain, or run.shard to no."
            )
        if self.shard != "no" and self.mixed_precision == "fp16":
            raise SettingsError(
                f"run.shard {self.shard} does not go with fp16's gradient scaling. Set "
                "run.mixed_precision to bf16 or no."
            )

    @property
    def recomputes(self) -> bool:
        """Whether layers are computed twice."""
        return self.gradient_checkpointing or MEMORY[self.memory].is_small


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A whole training run.

    Attributes:
        stage: 1 trains ReferenceNet, Pose Guider and the UNet without temporal layers on pictures;
            2 trains only the temporal layers, on clips; 3 makes a trained model's denoising UNet need
            fewer steps and no guidance.
        steps: Optimizer steps.
        batch_size: Samples of one optimizer step, over all processes.
        micro_batch_size: Samples of one forward in one process; the rest is accumulated.
        seed: Of the weights made from scratch, the data and the noise.
    """

    stage: int = 1
    steps: int = setting(30_000, is_free=True, least=1)
    batch_size: int = setting(4, least=1)
    micro_batch_size: int | None = setting(None, is_free=True)
    seed: int = setting(0, least=0)
    data: DataConfig = field(default_factory=DataConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    init: InitConfig = field(default_factory=InitConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    distillation: DistillationConfig = field(default_factory=DistillationConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    lora: LoraConfig = field(default_factory=LoraConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        if self.stage not in (1, 2, 3):
            raise SettingsError(
                f"stage is 1 (pictures), 2 (clips) or 3 (distillation), got {self.stage}."
            )
        check_limits(self)
        check_memory(self.run.memory, self.optimizer.kind, self.optimizer.ema_decay)
        if self.stage == 1 and self.objective.shared_noise:
            raise SettingsError(
                "objective.shared_noise is about the frames of clips, and stage 1 learns from pictures: "
                "set it to 0, or train stage 2 or 3."
            )
        if self.stage == 2 and self.init.kind == "scratch":
            raise SettingsError(
                "Stage 2 trains only the temporal layers of a trained model: set init.kind to "
                "files and init.unet, init.reference and init.pose_guider to stage 1's result "
                "(or give its folder with --init-from)."
            )
        is_judged = self.objective.pointing or self.objective.carrying
        if is_judged and (self.stage == 3 or self.run.recomputes):
            raise SettingsError(
                "objective.pointing and carrying judge attention where it is computed once, in stages 1 "
                "and 2: set them to 0, or run.gradient_checkpointing to false and run.memory to plain."
            )
        if self.stage == 3:
            self._check_distillation()
        if (self.data.kind == "replaced-dancers") != bool(self.network.extra_inputs):
            raise SettingsError(
                'data.kind "replaced-dancers" and network.extra_inputs go together: only these scenes '
                "show somebody to replace, and only such a network can see them."
            )
        if self.lora.rank and self.init.kind == "scratch":
            raise SettingsError(
                "LoRA changes a trained model: set init.kind to files and name its weights "
                "(--init-from)."
            )
        if self.optimizer.kind == "muon" and self.run.mixed_precision == "fp16":
            raise SettingsError(
                "optimizer.kind muon is two optimizers, and fp16's gradient scaling goes with one: "
                "the second would get gradients scaled down twice. Set run.mixed_precision to bf16 "
                "or no, or optimizer.kind to adamw."
            )

    def _check_distillation(self) -> None:
        """Raise SettingsError for what stage 3 cannot do."""
        if self.init.kind == "scratch":
            raise SettingsError(
                "Stage 3 makes a student of a trained model: set init.kind to files and init.unet, "
                "init.reference and init.pose_guider to its files (or give its folder with --init-from)."
            )
        if self.distillation.alone and self.run.shard != "no":
            raise SettingsError(
                "distillation.alone has each process choose how many steps it takes, and processes that "
                "share out weights must take the same: set run.shard to no, or distillation.alone to 0."
            )
        if self.distillation.method == "consistency" and not self.optimizer.ema_decay:
            raise SettingsError(
                "distillation.method consistency learns from the student's own average: set "
                "optimizer.ema_decay above 0 (0.95 is usual), or distillation.method to trajectory."
            )
        if self.run.shard != "no":
            raise SettingsError(
                f"run.shard is {self.run.shard}, but stage 3 needs its whole teacher in every process: "
                "set run.shard to no."
            )
        if any(self.distillation.of_pictures) and MEMORY[self.run.memory].encoders_wait:
            raise SettingsError(
                f"distillation.detail and pixels decode pictures at every step, and with run.memory "
                f"{self.run.memory} the VAE waits on the CPU: set run.memory to plain or 24gb, or "
                "both to 0."
            )
        if self.lora.rank and "reference_net" in self.lora.networks:
            raise SettingsError(
                "In stage 3 student and teacher read one reference, so ReferenceNet gets no LoRA: set "
                "lora.networks to denoising_unet, temporal or both."
            )

    @property
    def sees_clips(self) -> bool:
        """Whether a sample is a clip, and the denoising UNet has its temporal layers."""
        return self.stage != 1

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
