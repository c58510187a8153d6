"""Encode the reference picture, once: VAE, CLIP, ReferenceNet."""

from typing import Any

import comfy.model_management as mm
import numpy as np
import torch
from comfy.ldm.modules.attention import optimized_attention
from comfy_api.latest import io
from PIL import Image

from ..animate_anyone_core.errors import SettingsError, ShapeError
from ..animate_anyone_core.images import (
    SMALLEST_SIDE,
    check_picture_size,
    check_video_size,
    fit,
    parse_color,
)
from ..animate_anyone_core.models.finite import check_finite_output
from ..animate_anyone_core.models.image_encoder import stretch_for_clip
from ..animate_anyone_core.models.memory import activation_bytes
from ..animate_anyone_core.models.references import Reference
from ..animate_anyone_core.pixels import bytes_from_unit, unit_from_bytes
from .latent_format import scaled
from .patchers import IN_FP32, run_managed
from .schema import schema
from .sockets import (
    ADVANCED,
    EncodedReference,
    NetworkHandle,
    ReferenceNetSocket,
    ReferenceSocket,
)

LARGEST_SIDE = 8192


class EncodeReference(io.ComfyNode):
    """Picture -> AA_REFERENCE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_EncodeReference",
            aliases=("reference image", "character", "appearance", "clip vision encode"),
            inputs=[
                ReferenceNetSocket.Input("reference_net"),
                io.Vae.Input("vae"),
                io.ClipVision.Input("clip_vision"),
                io.Image.Input("image"),
                io.Int.Input("width", default=512, min=0, max=LARGEST_SIDE, step=8),
                io.Int.Input("height", default=784, min=0, max=LARGEST_SIDE, step=8),
                io.Combo.Input("fit", options=["stretch", "crop", "pad"], default="crop"),
                io.Mask.Input("mask", optional=True),
                io.String.Input("background", default="white", optional=True, extra_dict=ADVANCED),
            ],
            outputs=[
                ReferenceSocket.Output("reference", display_name="reference"),
                io.Image.Output("fitted", display_name="image"),
            ],
        )

    @classmethod
    def validate_inputs(
        cls, width: int | None, height: int | None, background: str | None = None
    ) -> bool:
        if background is not None:
            parse_color(background)
        if width is None or height is None:
            return True  # linked: known when the node runs
        if max(width, height) > LARGEST_SIDE:
            raise SettingsError(
                f"Width and height are at most {LARGEST_SIDE}, got {width}x{height}."
            )
        check_video_size(*(side or SMALLEST_SIDE for side in (width, height)))  # 0: known later
        return True

    @classmethod
    def execute(
        cls,
        reference_net: NetworkHandle,
        vae: Any,
        clip_vision: Any,
        image: torch.Tensor,
        width: int,
        height: int,
        fit: str,
        mask: torch.Tensor | None = None,
        background: str = "white",
    ) -> io.NodeOutput:
        if mask is not None:
            image = laid_on(image, mask, background)
        picture = fitted_picture(image, *video_size(reference_net, width, height), fit)
        encoded = encode(reference_net, vae, clip_vision, picture)
        return io.NodeOutput(encoded, as_image(picture))


def video_size(handle: NetworkHandle, width: int, height: int) -> tuple[int, int]:
    """The size asked for, with the one the model was made for in place of 0.

    Raises:
        SettingsError: If 0 is asked for and nothing says what the model was made for.
    """
    if width and height:
        return width, height
    if handle.size is None:
        raise SettingsError(
            f'Width and height are 0 only behind "Load Model Set", which knows the size; "Load '
            f'ReferenceNet" does not, got {width}x{height}. Set both.'
        )
    return width or handle.size[0], height or handle.size[1]


def laid_on(image: torch.Tensor, mask: torch.Tensor, background: str) -> torch.Tensor:
    """Lay the first picture of an IMAGE on a plain color.

    Args:
        image: (batch, H, W, 3 or more) in [0, 1].
        mask: (batch, H, W) or (H, W), 1 where the picture is transparent; one of another size is
            stretched, as "Load Image" gives a small one for pictures without transparency.
        background: Name of a color, or #RRGGBB.

    Returns:
        (1, H, W, 3).

    Raises:
        ShapeError: If the mask is empty or no mask.
        SettingsError: If there is no such color.
    """
    color = torch.tensor(parse_color(background), dtype=image.dtype, device=image.device) / 255
    hidden = mask[None] if mask.ndim == 2 else mask
    if hidden.ndim != 3 or not hidden.numel():
        raise ShapeError(f"The mask must be (batch, height, width), got {tuple(mask.shape)}.")
    hidden = hidden[:1, None].to(image)
    if hidden.shape[-2:] != image.shape[1:3]:
        hidden = torch.nn.functional.interpolate(hidden, image.shape[1:3], mode="bilinear")
    hidden = hidden.clamp(0, 1)[:, 0, ..., None]
    return image[:1, ..., :3] * (1 - hidden) + color * hidden


def fitted_picture(image: torch.Tensor, width: int, height: int, mode: str) -> Image.Image:
    """The first picture of an IMAGE at the video's size."""
    check_video_size(width, height)
    if image.ndim != 4 or not image.shape[0] or image.shape[-1] < 3:
        raise ShapeError(
            f"The reference must be a picture (batch, height, width, 3), got {tuple(image.shape)}."
        )
    picture = Image.fromarray(bytes_from_unit(image[0, ..., :3]))
    check_picture_size(picture.width, picture.height, "The reference picture")
    return fit(picture, width, height, mode)


def as_image(picture: Image.Image) -> torch.Tensor:
    """A picture as ComfyUI's IMAGE (1, H, W, 3) in [0, 1]."""
    return unit_from_bytes(np.asarray(picture))[None]


def encode(
    handle: NetworkHandle, vae: Any, clip_vision: Any, picture: Image.Image
) -> EncodedReference:
    """Run VAE, CLIP and ReferenceNet on a picture at the video's size.

    Raises:
        ShapeError: If the VAE's latents or CLIP's embedding do not fit ReferenceNet.
    """
    keep = mm.intermediate_device()
    encoded = clip_vision.encode_image(as_image(stretch_for_clip(picture)), crop=False)
    appearance = encoded["image_embeds"].reshape(1, 1, -1).to(keep)
    latents = vae.encode(as_image(picture)).to(keep)
    given = as_image(picture)
    check_finite_output("the image encoder", appearance, given, "Load another.")
    check_finite_output(
        "the VAE", latents, given, "Start ComfyUI with --fp32-vae, or load another."
    )
    _check_fit(handle, latents, appearance, picture)
    seen_latents = scaled(latents)

    def work(network: Any, device: torch.device) -> dict[str, torch.Tensor]:
        inputs = (tensor.to(device, handle.compute_dtype) for tensor in (seen_latents, appearance))
        features = network(*inputs, attention=optimized_attention)
        return {path: tokens.to(keep) for path, tokens in features.items()}

    # one row of the denoiser: the same network without temporal layers
    config = handle.patcher.model.config
    height, width = latents.shape[-2:]
    memory = activation_bytes(config, 1, height, width, handle.compute_dtype.itemsize)
    features = run_managed(handle, memory, work)
    for tokens in features.values():
        check_finite_output("ReferenceNet", tokens, latents, IN_FP32)
    reference = Reference(appearance, features)
    return EncodedReference(reference, latents, picture.width, picture.height)


def _check_fit(
    handle: NetworkHandle, latents: torch.Tensor, appearance: torch.Tensor, picture: Image.Image
) -> None:
    config = handle.patcher.model.config
    expected = (1, config.in_channels, picture.height // 8, picture.width // 8)
    if tuple(latents.shape) != expected:
        raise ShapeError(
            f"ReferenceNet needs latents {expected}, but this VAE makes {tuple(latents.shape)}. "
            "Use the VAE that belongs to the model: the built-in one for the built-in model, "
            "sd-vae-ft-mse or another VAE of Stable Diffusion 1.5 for published weights."
        )
    if appearance.shape[-1] != config.cross_attention_dim:
        raise ShapeError(
            f"ReferenceNet needs an appearance of {config.cross_attention_dim} numbers, but this "
            f"CLIP vision model makes {appearance.shape[-1]}. Use the image encoder that belongs to "
            "these weights (sd-image-variations' for the published ones)."
        )
