"""A student beside its teacher: what stage 3 learns of every batch."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy

import torch
from torch import Tensor

from ...sampling.guidance import needs_unconditional
from .config import TrainConfig
from .critic import Critic, adversarial_losses
from .distillation import Distillation, Target, Teacher
from .frozen_encoders import Batch
from .initial_weights import teacher_profile
from .lora_layers import add_lora, without_lora
from .networks import LearningNetworks, Seen, TrainedNetworks

#: Makes the student, for a while, what the context says.
During = Callable[[], AbstractContextManager]


class Lesson:
    """The errors of a student; stands where `Objective` stands.

    Args:
        distillation: The grid and the walk.
        teacher: The teacher's networks; None for a LoRA, whose teacher is the student without it.
        average: While it lasts, the student is its own average (EMA).
    """

    def __init__(
        self,
        distillation: Distillation,
        teacher: TrainedNetworks | None,
        average: During = nullcontext,
    ) -> None:
        self.distillation, self._teacher, self._average = distillation, teacher, average

    def row_losses(
        self, networks: LearningNetworks, seen: Seen, recompute: bool = False
    ) -> Tensor:
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
        losses = self.distillation.losses(prediction, target)
        critic = getattr(networks, "critic", None)
        return losses if critic is None else losses + self._told(critic, prediction, target, seen)

    def _told(self, critic: Critic, prediction: Tensor, target: Target, seen: Seen) -> Tensor:
        """What the critic says of where the student arrives, beside data with as much noise."""
        walk = self.distillation
        made = walk.step(target.sample, prediction.float(), target.start, target.end)
        # mirrored noise is new noise, and the same after a resumed step
        real = walk.noised(seen.latents.float(), seen.noise.float().flip(-1), target.end)
        level = walk.levels[target.end]
        return adversarial_losses(critic, made, real, level, walk.config.adversarial)

    def _halves(self, student: LearningNetworks, seen: Seen) -> Teacher:
        networks, nobody = self._teacher or student, seen.unconditional()

        def says(what: Seen, x: Tensor, t: Tensor) -> Tensor:
            with without_lora(student) if self._teacher is None else nullcontext():
                return networks.answer(what, x, t)

        guided = needs_unconditional(self.distillation.guidance)
        return Teacher(
            lambda x, t: says(seen, x, t), (lambda x, t: says(nobody, x, t)) if guided else None
        )


def make_student(networks: TrainedNetworks, config: TrainConfig) -> None:
    """Set what learns: the whole denoising UNet, or a LoRA on it, and a critic where there is one.

    New weights are made from the seed.
    """
    settings, unet = config.distillation, networks.denoising_unet
    networks.requires_grad_(False)
    weight = unet.conv_in.weight
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        if settings.lora_rank:
            add_lora(unet, settings.lora_rank)
        else:
            unet.requires_grad_(True)
        if settings.adversarial:
            networks.critic = Critic(unet.config.out_channels).to(weight)


def teacher_of(student: TrainedNetworks) -> TrainedNetworks:
    """The networks as they are now, never to learn; what the student does not change is shared."""
    unet = deepcopy(student.denoising_unet).requires_grad_(False).eval()
    return TrainedNetworks(unet, student.reference_net, student.pose_guider, student.attention)


def student_loss(
    config: TrainConfig, networks: TrainedNetworks, device: torch.device, average: During
) -> Callable[[torch.nn.Module, Batch], Tensor]:
    """The loss of stage 3: the mean over rows.

    Networks are as they are before the first step: the teacher's, and what learns requires gradients.
    """
    settings, profile = config.distillation, teacher_profile(config.init)
    scale = profile.guidance_scale if settings.guidance is None else settings.guidance
    distillation = Distillation(settings, profile.noise, scale, device)
    teacher = None if settings.lora_rank else teacher_of(networks)
    lesson = Lesson(distillation, teacher, average)
    return lambda model, batch: model(batch, lesson, config.run.recomputes).mean()
