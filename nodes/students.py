"""What a MODEL's weights were made for, and a student's LoRA on them."""

from typing import Any

from ..animate_anyone_core.checkpoints.families import FamilyProfile
from ..animate_anyone_core.checkpoints.lora import as_student

_KEY = "animate_anyone_profile"


def profile_of(model: Any) -> FamilyProfile:
    """The settings that a MODEL's weights expect, with those of a student's LoRA on it."""
    attached = model.get_attachment(_KEY)
    return model.model.profile if attached is None else attached


def remember_student(model: Any, student: FamilyProfile) -> None:
    """Have a MODEL say that it is a student; clones of it do, too."""
    model.set_attachments(_KEY, as_student(profile_of(model), student))
