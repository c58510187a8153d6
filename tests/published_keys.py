"""Keys and shapes of everything that was published in this family, without its weights.

The UNets are diffusers' public classes at full size on the meta device, their temporal layers renamed
as AnimateDiff published them. A digest of the published files' own keys and shapes stands beside each,
so that a change in diffusers, or here, does not go unseen. Pose guiders are listed in
`published_guiders.json`.
"""

import hashlib
import json
from functools import cache
from itertools import pairwise
from pathlib import Path

import torch
from diffusers import MotionAdapter, UNet2DConditionModel

Keys = dict[str, list[int]]

#: SHA-256 of the files' keys and shapes, as sorted JSON, read off the published files.
DIGESTS = {
    "denoising_unet": "cee917c89a0faa64",
    "reference_unet": "f7751d2609c854eb",
    "motion_module, 32 frames": "63c1271486e2a7b8",
    "motion_module, 128 frames": "b2ef0053b288d4ee",
    "both in one, 32 frames": "ac786d6a03b03d9e",
    "pose_guider": "8b109c3d3b738b97",
    "champ_guidance_encoder": "a3e514e661fdfd13",
    "aniportrait_pose_guider": "e2e8d376f21e2a4d",
    "open_pose_guider_plain": "7010ea1b9bf245ce",
    "open_pose_guider_normed": "2b8517e04b6db152",
}

#: A temporal block's layers: as published, in diffusers.
TEMPORAL_NAMES = (
    ("attention_blocks.0.", "attn1."),
    ("attention_blocks.1.", "attn2."),
    ("norms.0.", "norm1."),
    ("norms.1.", "norm2."),
    ("ff_norm.", "norm3."),
    ("ff.", "ff."),
)
TABLE = "pos_embed.pe"


@cache
def published_keys() -> dict[str, dict[str, Keys]]:
    """Family -> file -> key -> shape.

    Raises:
        ValueError: If anything differs from what was published.
    """
    unet = _spatial()
    reference = {
        key: shape
        for key, shape in unet.items()
        if not key.startswith(("conv_norm_out.", "conv_out."))
    }
    guiders: dict[str, Keys] = json.loads(
        Path(__file__).with_name("published_guiders.json").read_text("utf-8")
    )
    files = {
        "denoising_unet": unet,
        "reference_unet": reference,
        "motion_module, 32 frames": _temporal(32),
        "motion_module, 128 frames": _temporal(128),
        "both in one, 32 frames": unet | _temporal(32),
        "pose_guider": _pose_guider(),
        **guiders,
    }
    for name, keys in files.items():
        if digest(keys) != DIGESTS[name]:
            raise ValueError(f"{name}: keys or shapes are not those of the published files")
    return {
        "moore": {
            **_family(files, 32),
            "pose_guider.pth": files["pose_guider"],
            "reenact/denoising_unet.pth": files["both in one, 32 frames"],
            "reenact/reference_unet.pth": unet,
            "reenact/pose_guider1.pth": files["pose_guider"],
            "reenact/pose_guider2.pth": files["pose_guider"],
        },
        "musepose": {**_family(files, 128), "pose_guider.pth": files["pose_guider"]},
        "champ": _family(files, 32)
        | {
            f"guidance_encoder_{kind}.pth": files["champ_guidance_encoder"]
            for kind in ("depth", "normal", "semantic_map", "dwpose")
        },
        "aniportrait": {**_family(files, 32), "pose_guider.pth": files["aniportrait_pose_guider"]},
        "open": {
            "poseguider_stage_1.ckpt, plain": files["open_pose_guider_plain"],
            "poseguider_stage_1.ckpt, normed": files["open_pose_guider_normed"],
        },
    }


def digest(keys: Keys) -> str:
    """The start of the SHA-256 of keys and shapes."""
    return hashlib.sha256(json.dumps(keys, sort_keys=True).encode()).hexdigest()[:16]


@cache
def published_temporal_names() -> dict[str, str | None]:
    """Published key of a temporal layer -> diffusers' key.

    Position tables: diffusers has one a block, the files one an attention; the second has none.
    """
    names: dict[str, str | None] = {}
    for key in _shapes(_motion_adapter(32)):
        for published in _published(key):
            names[published] = None if ".attention_blocks.1.pos_encoder" in published else key
    return names


def _family(files: dict[str, Keys], frames: int) -> dict[str, Keys]:
    return {
        "denoising_unet.pth": files["denoising_unet"],
        "motion_module.pth": files[f"motion_module, {frames} frames"],
        "reference_unet.pth": files["reference_unet"],
    }


def _shapes(network: torch.nn.Module) -> Keys:
    return {key: list(value.shape) for key, value in network.state_dict().items()}


def _spatial() -> Keys:
    """Stable Diffusion 1.5's UNet."""
    with torch.device("meta"):
        return _shapes(UNet2DConditionModel(cross_attention_dim=768, attention_head_dim=8))


def _motion_adapter(frames: int) -> torch.nn.Module:
    """AnimateDiff's temporal layers, also in the middle."""
    with torch.device("meta"):
        return MotionAdapter(motion_max_seq_length=frames)


def _temporal(frames: int) -> Keys:
    return {
        published: shape
        for key, shape in _shapes(_motion_adapter(frames)).items()
        for published in _published(key)
    }


def _published(key: str) -> list[str]:
    """Published names of diffusers' key: two for a position table, else one."""
    module, layer = key.split(".motion_modules.")
    index, layer = layer.split(".", 1)
    start = f"{module}.motion_modules.{index}.temporal_transformer."
    head, block, rest = layer.partition("transformer_blocks.0.")
    if not block:
        return [f"{start}{head}"]
    if rest == TABLE:
        return [f"{start}{block}attention_blocks.{n}.pos_encoder.pe" for n in (0, 1)]
    published, ours = next(pair for pair in TEMPORAL_NAMES if rest.startswith(pair[1]))
    return [f"{start}{block}{published}{rest.removeprefix(ours)}"]


def _pose_guider() -> Keys:
    """The pose guider of Moore-AnimateAnyone and MusePose: ControlNet's embedding, 320 wide."""
    widths = (16, 16, 32, 32, 96, 96, 256)
    keys: Keys = {"conv_in.weight": [16, 3, 3, 3], "conv_in.bias": [16]}
    for index, (before, after) in enumerate(pairwise(widths)):
        keys |= {f"blocks.{index}.weight": [after, before, 3, 3], f"blocks.{index}.bias": [after]}
    return keys | {"conv_out.weight": [320, 256, 3, 3], "conv_out.bias": [320]}
