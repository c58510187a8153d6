"""Names that LoRA files give to the layers of the denoising UNet."""

import re

from .key_map import is_temporal, to_published_key

# diffusers' resnet parts -> those of the original Stable Diffusion UNet
_RESNET_PARTS = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_PLACES = re.compile(
    r"(down_blocks|up_blocks|mid_block)\.?(\d*)\.?(resnets|attentions|downsamplers|upsamplers)"
    r"\.(\d+)\.(.+)"
)


def lora_names(layer: str, layers_per_block: int = 2) -> list[str]:
    """All names under which LoRA files may speak of a layer.

    Args:
        layer: Path of the layer in our tree, such as
            `down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q`.
        layers_per_block: Of the UNet; the original naming numbers blocks through.

    Returns:
        diffusers' own (`unet.…`, with and without `.processor`), PEFT's (`base_model.model.…`),
        kohya's (`lora_unet_…`) and LyCORIS' (`lycoris_…`), in diffusers', the original and, for
        temporal layers, AnimateDiff's naming.
    """
    paths = [layer]
    original = _original_name(layer, layers_per_block)
    if original is not None:
        paths.append(original)
    if is_temporal(layer):
        paths.append(to_published_key(f"{layer}.weight").removesuffix(".weight"))
    names = []
    for path in paths:
        flat = path.replace(".", "_")
        dotted = {path, _with_processor(path)}
        for name in sorted(dotted):
            names += [
                name,
                f"unet.{name}",
                f"base_model.model.{name}",
                f"unet.base_model.model.{name}",
            ]
        names += [f"lora_unet_{flat}", f"lycoris_{flat}", f"lycoris_unet_{flat}"]
    return names


def _with_processor(path: str) -> str:
    """Diffusers' old attention processors: `attn1.to_out.0` was `attn1.processor.to_out`."""
    head, separator, tail = path.rpartition(".to_")
    if not separator:
        return path
    return f"{head}.processor.to_{'out' if tail == 'out.0' else tail}"


def _original_name(layer: str, layers_per_block: int) -> str | None:
    """The layer's name in the original Stable Diffusion UNet, None if it has none there."""
    fixed = {
        "conv_in": "input_blocks.0.0",
        "conv_out": "out.2",
        "conv_norm_out": "out.0",
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
    }
    if layer in fixed:
        return fixed[layer]
    match = _PLACES.fullmatch(layer)
    if not match:
        return None
    stage, level, kind, index, rest = match.groups()
    number, place = _block_number(stage, level, kind, int(index), layers_per_block)
    if kind == "resnets":
        rest = _RESNET_PARTS.get(rest, rest)
    elif kind == "downsamplers":
        rest = "op"
    return f"{number}.{place}.{rest}"


def _block_number(stage: str, level: str, kind: str, index: int, layers: int) -> tuple[str, int]:
    """(block, place in it) in the original numbering."""
    if stage == "mid_block":
        return "middle_block", 1 if kind == "attentions" else 2 * index
    place = 1 if kind == "attentions" else 0
    if stage == "down_blocks":
        step = layers if kind == "downsamplers" else index
        return f"input_blocks.{1 + int(level) * (layers + 1) + step}", place
    step = layers if kind == "upsamplers" else index
    if kind == "upsamplers":
        place = 1 if level == "0" else 2  # behind the resnet, and the attention where there is one
    return f"output_blocks.{int(level) * (layers + 1) + step}", place
