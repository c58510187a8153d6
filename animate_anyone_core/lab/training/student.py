"""A student beside its teacher: what stage 3 learns of every batch."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ...checkpoints.families import FamilyProfile
from ...errors import SettingsError
from ...models.autoencoder import Autoencoder
from ...models.denoising_unet import DenoisingUNet
from ...sampling.guidance import needs_unconditional
from .config import TrainConfig
from .critic import Critic, Shown, adversarial_losses
from .decoded_errors import DecodedErrors
from .distillation import Distillation, Teacher
from .initial_weights import make_networks
from .lora_layers import without_lora
from .memory import cast
from .networks import LearningNetworks, Seen, TrainedNetworks

#: Makes the student, for a while, what the context says.
During = Callable[[], AbstractContextManager]


class Lesson:
    """The errors of a student; stands where `Objective` stands.

    Args:
        distillation: The grid and the walk.
        teacher: The teacher's networks; None for a LoRA, whose teacher is the student without it.
        average: While it lasts, the student is its own average (EMA).
        body: How many times errors next to the skeleton count.
    """

    pointing = carrying = 0.0

    def __init__(
        self,
        distillation: Distillation,
        teacher: TrainedNetworks | None,
        average: During = nullcontext,
        *,
        body: float = 1.0,
    ) -> None:
        self.distillation, self.teacher, self._average = distillation, teacher, average
        self.body = body

    def row_losses(self, networks: LearningNetworks, seen: Seen, recompute: bool = False) -> Tensor:
        """The error of every row, (B,); nothing but the student's one prediction has gradients."""

        def student(x: Tensor, t: Tensor) -> Tensor:
            return networks.answer(seen, x, t)

        def average(x: Tensor, t: Tensor) -> Tensor:
            with self._average():
                return networks.answer(seen, x, t)

        latents, noise = seen.latents, seen.noise
        teacher = self._halves(networks, seen)
        target = self.distillation.target(teacher, latents, noise, seen.t, student, average)
        prediction = networks.answer(seen, target.sample, target.t, recompute)
        losses = self.distillation.losses(prediction, target, latents, seen.weights)
        made = self.distillation.step(target.sample, prediction.float(), target.start, target.end)
        return losses + self.told(networks, made, target.end, seen, recompute)

    def told(
        self,
        student: LearningNetworks,
        made: Tensor,
        end: Tensor,
        seen: Seen,
        recompute: bool = False,
    ) -> Tensor | float:
        """What the critic says of latents made for places (B,), beside data with as much noise.

        It is (B,), or 0 where there is none.
        """
        critic, walk = getattr(student, "critic", None), self.distillation
        if critic is None:
            return 0.0
        # mirrored noise is new noise, and the same after a resumed step
        real = walk.noised(seen.latents.float(), seen.noise.float().flip(-1), end)
        t, level = walk.ends[end], walk.levels[end]
        shown = Shown(made, self._features(student, seen, made, t, recompute))
        with torch.no_grad():
            data = Shown(real, self._features(student, seen, real, t))
        return adversarial_losses(critic, shown, data, level, walk.config.adversarial)

    def _features(
        self,
        student: LearningNetworks,
        seen: Seen,
        x: Tensor,
        t: Tensor,
        recompute: bool = False,
    ) -> Tensor:
        """What the teacher sees in latents."""

        def as_teacher() -> AbstractContextManager:
            return self._as_teacher(student)

        with as_teacher():
            again = as_teacher if recompute else False
            return (self.teacher or student).features(seen, x, t, again)

    def _as_teacher(self, student: LearningNetworks) -> AbstractContextManager:
        """While it lasts, the student without its LoRA is the teacher, where there is no other."""
        return without_lora(student) if self.teacher is None else nullcontext()

    def _halves(self, student: LearningNetworks, seen: Seen) -> Teacher:
        networks, nobody = self.teacher or student, seen.unconditional()

        def says(what: Seen, x: Tensor, t: Tensor) -> Tensor:
            with self._as_teacher(student):
                return networks.answer(what, x, t)

        guided = needs_unconditional(self.distillation.guidance)
        return Teacher(
            lambda x, t: says(seen, x, t), (lambda x, t: says(nobody, x, t)) if guided else None
        )


class DataLesson(Lesson):
    """The errors of a student where its own steps lead from pure noise, against the data itself.

    Gradients go back through all its steps, so that it learns to do in all of them together what none of
    them can alone. It is not bound by its teacher, who only lends the critic its eyes.

    Args:
        distillation: The grid of times, and what errors count.
        teacher: See `Lesson`.
        decoded: Looks at where the last step leads as pictures; None does not.
        body: See `Lesson`.
    """

    def __init__(
        self,
        distillation: Distillation,
        teacher: TrainedNetworks | None,
        decoded: DecodedErrors | None = None,
        *,
        body: float = 1.0,
    ) -> None:
        super().__init__(distillation, teacher, body=body)
        self._decoded = decoded

    def row_losses(self, networks: LearningNetworks, seen: Seen, recompute: bool = False) -> Tensor:
        """The error of every row, (B,): of the last step, and of what was meant on the way."""
        walk, data, x = self.distillation, seen.latents.float(), seen.noise.float()
        place = torch.zeros_like(seen.t)
        clean = torch.full_like(place, walk.config.teacher_steps)
        losses, made = x.new_zeros(len(x)), x
        # chance, the same after a resumed step; the critic's level hangs on another digit of it
        alone = walk.config.alone
        is_alone = alone > 0 and int(seen.t[0]) % 97 < 97 * alone
        steps = 1 if is_alone else walk.config.student_steps
        for number in range(steps):
            start = place + number * walk.stride
            prediction = networks.answer(seen, x, walk.times[start], recompute).float()
            made = walk.step(x, prediction, start, clean)
            x = walk.step(x, prediction, start, start + walk.stride)
            is_last = number + 1 == steps
            weight = 1.0 if is_last else walk.config.along
            off = walk.sizes(made - data, seen.weights)
            losses = losses + weight * (off + walk.looks(made, data))
        if self._decoded is not None:
            losses = losses + self._decoded.missed(made, data, seen.t, seen.weights)
        # the critic looks through as much noise as chance has it, and through none
        end = (walk.places(seen.t) // walk.stride + 1) * walk.stride
        shown = walk.noised(made, seen.noise.float().flip(-1), end)
        return losses + self.told(networks, shown, end, seen, recompute)


def add_critic(networks: TrainedNetworks, config: TrainConfig) -> None:
    """Put a new critic, made from the seed, beside a student where stage 3 wants one."""
    if config.stage != 3 or not config.distillation.adversarial:
        return
    unet = networks.denoising_unet
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        channels = unet.config.out_channels
        networks.critic = Critic(channels, channels + unet.config.block_out_channels[0])
    cast(networks.critic, unet.conv_in.weight.dtype)


def teacher_of(student: TrainedNetworks, device: torch.device) -> TrainedNetworks:
    """The networks as they are now, never to learn; what the student does not change is shared.

    The student comes to the device when its run begins; its teacher, which is no part of it, here.
    """
    learning = student.denoising_unet
    with torch.device("meta"):
        unet = DenoisingUNet(learning.config, learning.temporal)
    weights = {name: weight.detach().clone() for name, weight in learning.state_dict().items()}
    unet.load_state_dict(weights, assign=True)
    unet.to(device).requires_grad_(False).eval()
    return TrainedNetworks(unet, student.reference_net, student.pose_guider, student.attention)


@contextmanager
def beyond(
    student: TrainedNetworks, origin: TrainedNetworks | None, reach: float
) -> Iterator[None]:
    """While it lasts, the student lies `reach` times as far from its origin as it is."""
    if origin is None or reach == 1:
        yield
        return
    weights = dict(student.denoising_unet.named_parameters())
    learned = {name: weight.detach().clone() for name, weight in weights.items()}
    try:
        with torch.no_grad():
            for name, start in origin.denoising_unet.named_parameters():
                own = learned[name]  # it may wait elsewhere, in fewer bits
                weights[name].copy_(torch.lerp(start.to(own), own, reach))
        yield
    finally:
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(learned[name])


def origin_of(config: TrainConfig, teacher: TrainedNetworks | None) -> TrainedNetworks | None:
    """What `reach` is measured from: the teacher, unless the settings name another.

    Raises:
        CheckpointError: If its files cannot be read.
        SettingsError: If it is of other shapes than the student.
    """
    settings = config.distillation
    if teacher is None or settings.origin is None or settings.reach == 1:
        return teacher
    places: dict[str, Any] = dict.fromkeys(("unet", "reference", "pose_guider"), settings.origin)
    init = replace(config.init, motion=None, **places)
    origin = make_networks(init, config.network, config.stage, config.seed)
    shapes = [
        {name: weight.shape for name, weight in networks.denoising_unet.named_parameters()}
        for networks in (origin, teacher)
    ]
    if shapes[0] != shapes[1]:
        raise SettingsError(
            f"distillation.origin {settings.origin} has other layers than the weights to start from: "
            "name the model that the student was made of."
        )
    return origin


def make_lesson(
    config: TrainConfig,
    teacher: FamilyProfile,
    networks: TrainedNetworks,
    vae: Autoencoder,
    device: torch.device,
    average: During = nullcontext,
) -> Lesson:
    """What a student learns.

    Args:
        config: Of the run.
        teacher: What the weights to start from were made for.
        networks: Before the first step: the teacher is a copy of them, or they without their LoRA.
        vae: Decodes what `detail` and `pixels` look at.
        device: Where they are.
        average: While it lasts, the student is its own average (EMA).
    """
    settings = config.distillation
    scale = teacher.guidance_scale if settings.guidance is None else settings.guidance
    distillation = Distillation(settings, teacher.noise, scale, device)
    frozen = None if config.lora.rank else teacher_of(networks, device)
    body = config.objective.body
    if settings.method == "data":
        length, (detail, pixels) = teacher.noise.num_train_timesteps, settings.of_pictures
        decoded = DecodedErrors(vae, length, detail, pixels) if detail or pixels else None
        return DataLesson(distillation, frozen, decoded, body=body)
    return Lesson(distillation, frozen, average, body=body)


def check_drawing(config: TrainConfig, teacher: FamilyProfile) -> None:
    """Raise SettingsError if the skeletons are drawn in a style that the teacher does not know."""
    if config.data.drawing != teacher.drawing:
        raise SettingsError(
            f"The weights to start from know skeletons in the style {teacher.drawing}; data.drawing is "
            f"{config.data.drawing}. Set data.drawing to {teacher.drawing}."
        )
