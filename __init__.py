"""Animate Anyone for ComfyUI: a character picture, performing the motion of a driving video."""

from .nodes.extension import comfy_entrypoint

__all__ = ["comfy_entrypoint"]
