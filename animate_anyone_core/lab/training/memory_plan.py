"""What a run's step will allocate, known before the run: the real step, on tensors without contents.

It takes no card and next to no memory. Counted is what PyTorch's tensors hold; a card's allocator
rounds that up, and CUDA's own context and kernels come on top.
"""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from ...checkpoints.builtin import model_folder
from ...checkpoints.families import MOORE, FamilyProfile
from ...errors import AnimateAnyoneError, SettingsError
from ...models.config import TemporalConfig, UNetConfig
from ...models.denoising_unet import DenoisingUNet
from ...models.reference_net import ReferenceNet
from .config import TrainConfig
from .frozen_encoders import Batch, FrozenEncoders
from .initial_weights import (
    load_frozen_encoders,
    make_guider,
    shapes_from_files,
    teacher_profile,
)
from .loop import Learner, OneProcess, optimizer_step
from .memory import MEMORY, Memory, cast, check_pieces, exchange
from .memory_tracking import COMPONENTS, FROZEN, STATES, WEIGHTS, MemoryTracker
from .networks import ATTENTION_KERNELS, Learnt, TrainedNetworks, denoising_loss
from .objective import Objective
from .small_adamw import MasterWeights, adamw_8bit
from .stages import choose_learning
from .student import Lesson, add_critic, make_lesson

logger = logging.getLogger("animate_anyone")

#: What a card needs beyond the tensors: blocks are rounded up and fragmented, kernels want room.
_MARGIN = 1.1
_PRECISION = {"no": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Plan:
    """What one memory setting takes.

    Attributes:
        setting: `run.memory`.
        peak: Component -> bytes, at the moment when a step's sum is largest.
    """

    setting: str
    peak: dict[str, int]

    @property
    def total(self) -> int:
        """Bytes at the peak."""
        return sum(self.peak.values())


def plan_step(config: TrainConfig, *, is_fake: bool = True, foreach: bool | None = True) -> Plan:
    """Run two steps of training and count what they hold.

    Args:
        config: Of the run. Where `init` names no files, the sizes are those of `network` and of
            Stable Diffusion 1.5's VAE and CLIP's ViT-L/14.
        is_fake: Tensors without contents; real ones, to compare, take the memory and the time.
        foreach: As a GPU's AdamW moves weights; None as this machine's.

    Raises:
        SettingsError: If settings contradict each other.
        CheckpointError: If a file cannot be read.
        MissingDependencyError: If torchao is needed and not installed.
    """
    memory = MEMORY[config.run.memory]
    forwards = config.batch_size // config.micro_batch(1)
    check_pieces(config.run.memory, 1, forwards)
    if memory.is_small:
        _fill_tables()
    shapes = shapes_from_files(config.init, config.network)
    real, teacher = _real_encoders(config), _teacher(config)
    fake = FakeTensorMode(allow_non_fake_inputs=True) if is_fake else None
    networks = _networks(config, shapes, is_fake)
    with fake or nullcontext(), torch.random.fork_rng(devices=[]):
        # fake ones cannot move: that they come and go is told to the tracker
        encoders = replace(_encoders_like(real, fake).sparing(memory), wait=False)
        if is_fake:
            exchange(networks, lambda weight: torch.empty_like(weight, device="cpu"))
        objective = _objective(config, teacher, networks, encoders, fake)
        with MemoryTracker() as tracker:
            engine = _Engine(tracker, config, forwards)
            learner = Learner(
                networks,
                denoising_loss(objective, config.run.recomputes),
                config.optimizer,
                engine,
                forwards=forwards,
                memory=memory,
                foreach=foreach,
            )
            _hold(tracker, learner, networks, encoders, memory)
            if isinstance(objective, Lesson) and objective.teacher is not None:
                tracker.hold(objective.teacher.denoising_unet.parameters(), FROZEN)
            batches = _batches(tracker, config, encoders, shapes[0], memory)
            for _ in range(2):  # the first makes the optimizer's states
                optimizer_step(learner, batches)
    return Plan(config.run.memory, tracker.peak)


def _networks(
    config: TrainConfig, shapes: tuple[UNetConfig, TemporalConfig], is_fake: bool
) -> TrainedNetworks:
    """The networks of the run; for fake ones, their shapes alone."""
    unet, temporal = shapes
    place = torch.device("meta") if is_fake else torch.device("cpu")
    with place, torch.random.fork_rng(devices=[]):
        networks = TrainedNetworks(
            DenoisingUNet(config.network.widened(unet), temporal if config.sees_clips else None),
            ReferenceNet(unet),
            make_guider(config.network, unet),
        )
        if MEMORY[config.run.memory].is_small:
            cast(networks, torch.bfloat16)
        networks.attention = ATTENTION_KERNELS[config.run.attention]
        choose_learning(networks, config)
        add_critic(networks, config)
    return networks


def _objective(
    config: TrainConfig,
    teacher: FamilyProfile,
    networks: TrainedNetworks,
    encoders: FrozenEncoders,
    fake: FakeTensorMode | None,
) -> Learnt:
    if config.stage != 3:
        # what `pointing` looks at is one head's scores more, which is not counted
        objective = Objective(replace(config.objective, pointing=0.0, carrying=0.0))
        objective.alphas = fake.from_tensor(objective.alphas) if fake else objective.alphas
        return objective
    # a batch that takes all steps takes the most, and nobody can look into these
    config = replace(config, distillation=replace(config.distillation, alone=0.0))
    if config.distillation.method != "data":
        # whichever way the target is found, the peak is in what comes after it
        way = replace(config.distillation, method="trajectory", start="data")
        config = replace(config, distillation=way)
    return make_lesson(config, teacher, networks, encoders.vae, torch.device("cpu"))


def _teacher(config: TrainConfig) -> FamilyProfile:
    """What stage 3's teacher was made for; Moore's settings where its files are not there yet."""
    if config.stage != 3 or config.init.unet is None or not model_folder(config.init.unet).exists():
        return MOORE
    return teacher_profile(config.init)


def plans(config: TrainConfig) -> tuple[list[Plan], dict[str, str]]:
    """What every memory setting would take; and those that do not go with the run, and why."""
    found, refused = [], {}
    for setting in MEMORY:
        try:
            changed = replace(config, run=replace(config.run, memory=setting))
            found.append(plan_step(changed))
        except AnimateAnyoneError as error:
            refused[setting] = str(error)
    return found, refused


def table(plan: Plan) -> str:
    """A plan as text, in GB (10^9 bytes)."""
    head = "".join(f"{name:>18}" for name in (*COMPONENTS, "sum"))
    values = (*(plan.peak[name] for name in COMPONENTS), plan.total)
    row = "".join(f"{value / 1e9:18.2f}" for value in values)
    return f"Memory at the peak of a step, in GB:\n{'':8}{head}\n{plan.setting:8}{row}"


def check_fits(config: TrainConfig, free: int) -> None:
    """Raise SettingsError if a step does not fit into so many free bytes; says what would."""
    plan = plan_step(config)
    if plan.total * _MARGIN <= free:
        logger.info("A step takes %.1f of %.1f GB.", plan.total / 1e9, free / 1e9)
        return
    found, _ = plans(config)
    fitting = [other for other in found if other.total * _MARGIN <= free]
    advice = (
        f"Set run.memory to {fitting[0].setting}: it takes {fitting[0].total * _MARGIN / 1e9:.1f} GB."
        if fitting
        else "No run.memory fits: take smaller pictures (data.width, data.height), fewer frames "
        "(data.num_frames), or a smaller micro_batch_size."
    )
    parts = ", ".join(f"{name} {size / 1e9:.1f}" for name, size in plan.peak.items())
    raise SettingsError(
        f"A step of this run needs about {plan.total * _MARGIN / 1e9:.1f} GB with run.memory "
        f"{plan.setting} ({parts}), and {free / 1e9:.1f} GB are free. {advice}"
    )


class _Engine(OneProcess):
    """One process that moves the weights after several forwards, and says what is a state."""

    def __init__(self, tracker: MemoryTracker, config: TrainConfig, forwards: int) -> None:
        is_small = MEMORY[config.run.memory].is_small
        super().__init__("cpu", _PRECISION["no" if is_small else config.run.mixed_precision])
        self._tracker, self._forwards, self._done = tracker, forwards, 0

    def prepare(self, *parts: Any) -> tuple[Any, ...]:
        network, *optimizers = parts
        return network, *(_Counted(optimizer, self._tracker) for optimizer in optimizers)

    def accumulate(self, model: nn.Module) -> AbstractContextManager:
        self._done += 1
        self.sync_gradients = self._done % self._forwards == 0
        return nullcontext()


class _Counted:
    """An optimizer, whose tensors are counted as states."""

    def __init__(self, optimizer: torch.optim.Optimizer, tracker: MemoryTracker) -> None:
        self.optimizer, self._tracker = optimizer, tracker

    def step(self) -> None:
        with self._tracker.making(STATES):
            self.optimizer.step()

    def zero_grad(self) -> None:
        self.optimizer.zero_grad()


def _hold(
    tracker: MemoryTracker,
    learner: Learner,
    networks: TrainedNetworks,
    encoders: FrozenEncoders,
    memory: Memory,
) -> None:
    """Tell the tracker what is there before the first step."""
    tracker.hold(learner.trained.values(), WEIGHTS)
    for optimizer in learner.optimizers:
        if isinstance(optimizer.optimizer, MasterWeights):
            tracker.hold(optimizer.optimizer.masters, WEIGHTS)
    tracker.hold(learner.ema.average.values(), WEIGHTS)
    tracker.follow_gradients(learner.trained.values())
    frozen = [p for p in networks.parameters() if not p.requires_grad]
    net = networks.reference_net
    of_reference = {id(p) for p in net.parameters()}
    is_frozen = all(not p.requires_grad for p in net.parameters())
    if memory.reference_waits and is_frozen:
        frozen = [p for p in frozen if id(p) not in of_reference]
        net.register_forward_pre_hook(lambda *_: tracker.hold(net.parameters(), FROZEN))
        net.register_forward_hook(lambda *_: tracker.let_go(net.parameters()))
    tracker.hold(frozen, FROZEN)
    if not memory.encoders_wait:
        tracker.hold([*encoders.vae.parameters(), *encoders.image_encoder.parameters()], FROZEN)


def _batches(
    tracker: MemoryTracker,
    config: TrainConfig,
    encoders: FrozenEncoders,
    unet: UNetConfig,
    memory: Memory,
) -> Iterator[Batch]:
    rows = config.micro_batch(1) * (config.data.num_frames if config.stage == 1 else 1)
    weights = [*encoders.vae.parameters(), *encoders.image_encoder.parameters()]
    while True:
        samples = _samples(config, encoders, unet)
        with tracker.beside(weights if memory.encoders_wait else [], FROZEN):
            batch = encoders.batch(samples, torch.device("cpu"), (True,) * rows)
        del samples
        yield batch


def _samples(config: TrainConfig, encoders: FrozenEncoders, unet: UNetConfig) -> dict[str, Tensor]:
    """Collated samples of a forward, as `Samples` gives them."""
    data, count = config.data, config.micro_batch(1)
    frames, height, width = data.num_frames, data.height, data.width
    times = frames if config.stage == 1 else 1
    cells, channels = (height // 8, width // 8), unet.out_channels
    samples = {
        "skeletons": torch.zeros(count, 3, frames, height, width, dtype=torch.uint8),
        "noise": torch.zeros(count, channels, frames, *cells),
        "t": torch.zeros(count, times, dtype=torch.long),
        "is_conditional": torch.ones(count, times, dtype=torch.bool),
    }
    if config.network.extra_inputs:
        samples["cells"] = torch.zeros(count, 1, frames, *cells)
        samples["target_latents"] = torch.zeros(count, frames, channels, *cells)
    if data.cache_scenes:
        samples["latents"] = torch.zeros(count, 1 + frames, channels, *cells, dtype=torch.float16)
        samples["appearance"] = torch.zeros(count, unet.cross_attention_dim)
        return samples
    side = encoders.picture_size
    samples["pictures"] = torch.zeros(count, 1 + frames, 3, height, width, dtype=torch.uint8)
    samples["clip_picture"] = torch.zeros(count, 3, side, side)
    return samples


def _real_encoders(config: TrainConfig) -> FrozenEncoders | None:
    """The encoders that the settings name; None if they name none."""
    if config.init.vae is None or config.init.image_encoder is None:
        return None
    return load_frozen_encoders(config.init, torch.device("cpu"))


def _encoders_like(real: FrozenEncoders | None, fake: FakeTensorMode | None) -> FrozenEncoders:
    if real is None:
        return _published_encoders()
    if fake is not None:
        for network in (real.vae, real.image_encoder):
            exchange(network, fake.from_tensor)
    return real


def _published_encoders() -> FrozenEncoders:
    """Stable Diffusion 1.5's VAE and CLIP's ViT-L/14."""
    widths = (128, 256, 512, 512)
    vae = AutoencoderKL(
        block_out_channels=widths,
        layers_per_block=2,
        latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
    )
    encoder = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=1024,
            intermediate_size=4096,
            projection_dim=768,
            num_hidden_layers=24,
            num_attention_heads=16,
            image_size=224,
            patch_size=14,
        )
    )
    return FrozenEncoders(vae.requires_grad_(False), encoder.requires_grad_(False))


def _fill_tables() -> None:
    """Have torchao make its tables of 8-bit numbers, from real numbers, once."""
    weight = nn.Parameter(torch.zeros(64, 64, dtype=torch.bfloat16))
    optimizer = adamw_8bit([weight], {"lr": 0.0})
    weight.grad = torch.zeros_like(weight)
    optimizer.step()
