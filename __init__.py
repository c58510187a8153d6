"""Animate Anyone for ComfyUI: a character picture, performing the motion of a driving video."""

from .nodes.extension import comfy_entrypoint

#: What ComfyUI's page may fetch: the help pages in web/docs.
WEB_DIRECTORY = "./web"

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
