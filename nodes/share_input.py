"""Inputs that are a share: how much of something, from none (0) to all (1)."""

from typing import Any

from comfy_api.latest import io


def share_input(name: str, default: float, step: float = 0.01, **how: Any) -> io.Float.Input:
    """A number from 0 to 1; `how` is anything else that inputs know."""
    return io.Float.Input(name, default=default, min=0.0, max=1.0, step=step, **how)
