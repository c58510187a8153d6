"""All calls of the self-test into the networks and the sampler, at their public seams."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..animate import animate, window_predictor
from ..animate_settings import AnimateSettings
from ..checkpoints.builtin import BUILT_IN, built_in_samples
from ..checkpoints.key_map import to_tree_key
from ..checkpoints.layouts import recognise
from ..checkpoints.load import RUNNING_STATISTICS, make_pose_guider
from ..checkpoints.model_folder import load_models
from ..images import fit, read_picture
from ..models.attention import AttentionKernel, scaled_dot_product
from ..models.config import TemporalConfig, UNetConfig
from ..models.denoising_unet import DenoisingUNet
from ..models.folded_frames import fold_frames, unfold_frames
from ..models.landmark_guider import LandmarkGuider, WindowedPose, encode_landmarks
from ..models.pose_guider import encode_poses
from ..models.pose_maps import PoseFeatures
from ..models.reference_net import ReferenceNet
from ..models.references import Reference
from ..models.temporal import temporal_layer
from ..pose.drawing import draw_poses
from ..pose.openpose_json import load_poses
from ..replacement.person_boxes import box_cells, person_boxes
from ..sampling.denoise import denoise, predict_clip
from ..sampling.schedule import NoiseSchedule, make_solver
from ..sampling.windows import WindowSettings
from .precision import Precision
from .reference_numbers import ReferenceNumbers

#: The kernel that the networks take when they are given none.
DEFAULT_KERNEL: AttentionKernel = scaled_dot_product


@dataclass(frozen=True)
class Networks:
    """A family's networks with the hashed weights, on one device, in one precision.

    Attributes:
        reference_net: ReferenceNet.
        denoising_unet: The denoising UNet with its temporal layers.
        pose_guider: The Pose Guider.
        attention: The kernel of all attentions.
    """

    reference_net: ReferenceNet
    denoising_unet: DenoisingUNet
    pose_guider: nn.Module
    attention: AttentionKernel = DEFAULT_KERNEL

    def put(self, x: Tensor) -> Tensor:
        """Bring a tensor to where the networks are, and to what they compute in."""
        weight = self.denoising_unet.conv_in.weight
        return x.to(weight.device, weight.dtype)


def build_networks(
    numbers: ReferenceNumbers,
    device: torch.device | str,
    precision: Precision,
    attention: AttentionKernel = DEFAULT_KERNEL,
) -> Networks:
    """Build a family's networks and give them the hashed weights."""
    settings = numbers.settings
    config = UNetConfig.from_diffusers(settings["unet"])
    channels = settings["denoising_in_channels"]
    wide = UNetConfig.from_diffusers(settings["unet"] | {"in_channels": channels})
    motion = settings["unet_additional_kwargs"]
    temporal = TemporalConfig(
        max_frames=motion["motion_module_kwargs"]["temporal_position_encoding_max_len"],
        num_attention_heads=motion["motion_module_kwargs"]["num_attention_heads"],
        in_mid_block=motion["motion_module_mid_block"],
    )

    def fill(network: Any, name: str) -> Any:
        given = {to_tree_key(key): w.float() for key, w in numbers.weights(name).items()}
        weights = {key: w for key, w in given.items() if not key.endswith(RUNNING_STATISTICS)}
        network.load_state_dict(weights)
        precision.store(network)
        return network.to(device, precision.dtype).requires_grad_(False).eval()

    guider = numbers.weights("pose_guider")
    return Networks(
        reference_net=fill(ReferenceNet(config), "reference_unet"),
        denoising_unet=fill(DenoisingUNet(wide, temporal), "denoising_unet"),
        pose_guider=fill(make_pose_guider(guider, recognise(guider)), "pose_guider"),
        attention=attention,
    )


@torch.no_grad()
def reference_features(networks: Networks, numbers: ReferenceNumbers) -> dict[str, Tensor]:
    """ReferenceNet's tokens (2, L, D) by block: row 0 without, row 1 with the picture's token."""
    latents = networks.put(numbers.inputs["ref_latents"]).expand(2, -1, -1, -1)
    appearance = networks.put(numbers.embeddings)
    return networks.reference_net(latents, appearance, attention=networks.attention)


@torch.no_grad()
def pose_features(networks: Networks, numbers: ReferenceNumbers, num_frames: int) -> Tensor:
    """The Pose Guider's features (1, C, F, h, w) of the first frames."""
    pictures = networks.put(numbers.pose_pictures[:num_frames]).transpose(0, 1)[None]
    return encode_poses(networks.pose_guider, pictures)


@torch.no_grad()
def landmark_maps(
    networks: Networks, numbers: ReferenceNumbers, *, published_range: bool
) -> WindowedPose:
    """AniPortrait's five maps for all windows of the sampling run."""
    num_frames = numbers.settings["sampling"]["num_frames"]
    return encode_landmarks(
        networks.pose_guider,
        networks.put(numbers.pose_pictures[:num_frames]).transpose(0, 1)[None],
        published_windows_of(numbers).windows(num_frames),
        published_range=published_range,
        attention=networks.attention,
    )


@torch.no_grad()
def temporal_output(networks: Networks, path: str, x: Tensor) -> Tensor:
    """One temporal layer of the denoising UNet on a clip (B, C, F, h, w)."""
    module = networks.denoising_unet.get_submodule(path)
    frames = x.shape[2]
    out = temporal_layer(module, fold_frames(networks.put(x)), frames, networks.attention)
    return unfold_frames(out, frames)


@torch.no_grad()
def predictions(
    networks: Networks, numbers: ReferenceNumbers, *, with_unconditional: bool
) -> Tensor:
    """The denoising UNet once: (1, C, F, h, w), or 2 rows, the unconditional first."""
    case = numbers.settings["unet_case"]
    sample = _join(numbers.inputs["unet/sample"], numbers.extra_channels())
    appearance, strengths = numbers.embeddings[1:], None
    if with_unconditional:
        sample = sample.expand(2, -1, -1, -1, -1)
        appearance, strengths = numbers.embeddings, (0.0, 1.0)
    return networks.denoising_unet(
        networks.put(sample),
        torch.tensor([case["timestep"]], device=networks.put(sample).device),
        Reference(networks.put(appearance), _pictures_features(networks, numbers)),
        strengths=strengths,
        pose=_stored_pose(networks, numbers),
        attention=networks.attention,
    )


@dataclass(frozen=True)
class SampledLatents:
    """What a sampling run gave.

    Attributes:
        timesteps: Of the solver.
        guided: The first step's prediction after windows were averaged and guidance applied.
        final: The latents at the end.
        given: What the denoising UNet was given first, noisy latents and extra channels, of one of
            the equal halves of the guidance.
    """

    timesteps: Tensor
    guided: Tensor
    final: Tensor
    given: Tensor


@torch.no_grad()
def sampled_latents(
    networks: Networks, numbers: ReferenceNumbers, *, published_range: bool = True
) -> SampledLatents:
    """The whole loop: windows, guidance, solver steps."""
    how = numbers.settings["sampling"]
    extra = numbers.extra_channels()
    given: list[Tensor] = []

    def denoiser(sample: Tensor, *inputs: Any, **options: Any) -> Tensor:
        given.append(sample[:1])
        return networks.denoising_unet(sample, *inputs, attention=networks.attention, **options)

    predict = window_predictor(
        denoiser,
        Reference(networks.put(numbers.embeddings[1:]), _pictures_features(networks, numbers)),
        landmark_maps(networks, numbers, published_range=published_range)
        if isinstance(networks.pose_guider, LandmarkGuider)
        else pose_features(networks, numbers, how["num_frames"]),
        None if extra is None else networks.put(extra),
    )
    noise, guidance = networks.put(numbers.inputs["noise"]), how["guidance_scale"]
    solver, windows = noise_solver(numbers), published_windows_of(numbers)
    settings = {"num_inference_steps": how["steps"], "guidance_scale": guidance, "windows": windows}
    final = denoise(predict, noise, solver, **settings)
    guided = predict_clip(predict, noise, solver.timesteps[0], guidance, windows)
    return SampledLatents(solver.timesteps, guided, final, given[0])


def person_cells(numbers: ReferenceNumbers) -> tuple[Tensor, Tensor]:
    """Boxes (F, 4) of the stored person masks, and what they are on latent cells."""
    masks = numbers.inputs["person_mask_u8"].numpy()
    boxes = person_boxes(masks)
    size = masks.shape[2], masks.shape[1]
    return torch.from_numpy(boxes), box_cells(boxes, size, *numbers.settings["latent_size"])


def published_windows_of(numbers: ReferenceNumbers) -> WindowSettings:
    """The windows that the family's published pipeline uses."""
    how = numbers.settings["sampling"]
    return WindowSettings(
        context_frames=how["context_frames"],
        context_overlap=how["context_overlap"],
        schedule="looped" if how["closed_loop"] else "published_open",
        blending="flat",
    )


def noise_solver(numbers: ReferenceNumbers) -> Any:
    """The solver of the family's published pipeline."""
    fields = NoiseSchedule.__dataclass_fields__
    given = numbers.settings["noise_scheduler_kwargs"].items()
    return make_solver(NoiseSchedule(**{key: value for key, value in given if key in fields}))


def _pictures_features(networks: Networks, numbers: ReferenceNumbers) -> dict[str, Tensor]:
    """ReferenceNet's tokens (1, L, D) for the picture."""
    latents = networks.put(numbers.inputs["ref_latents"])
    appearance = networks.put(numbers.embeddings[1:])
    return networks.reference_net(latents, appearance, attention=networks.attention)


def _stored_pose(networks: Networks, numbers: ReferenceNumbers) -> PoseFeatures:
    """Random pose features, so that the UNet's case does not depend on the guider."""
    name, fields = "unet/pose_fea", numbers.inputs
    if name in fields:
        return networks.put(fields[name])
    return tuple(networks.put(fields[key]) for key in sorted(k for k in fields if name in k))


def _join(latents: Tensor, extra: Tensor | None) -> Tensor:
    if extra is None:
        return latents
    return torch.cat([latents, extra[:, :, : latents.shape[2]]], dim=1)


#: The clip of the self-test: two windows of three frames, two steps.
CLIP_FRAMES, CLIP_WINDOW, CLIP_OVERLAP, CLIP_STEPS = 4, 3, 2, 2


def clip_frames(
    device: torch.device | str, precision: Precision, computed: torch.dtype | None = None
) -> np.ndarray:
    """The built-in model animates a built-in character: frames (F, H, W, 3) uint8.

    Args:
        device: Where.
        precision: How weights are rounded, and what is computed in.
        computed: Compute in this instead, with weights rounded as `precision` has them.
    """
    models, _ = load_models(BUILT_IN, dtype=precision.dtype)
    for network in (models.denoising_unet, models.reference_net):
        precision.store(network)  # before it moves: not every device knows fp8
    names = ("denoising_unet", "reference_net", "pose_guider", "vae", "image_encoder")
    computed = computed or precision.dtype
    models = replace(models, **{name: getattr(models, name).to(device, computed) for name in names})
    samples, profile = built_in_samples(), models.profile
    size = (profile.width, profile.height)
    poses = load_poses(samples.poses)
    poses = replace(poses, points=poses.points[:CLIP_FRAMES], scores=poses.scores[:CLIP_FRAMES])
    settings = AnimateSettings(
        width=profile.width,
        height=profile.height,
        num_inference_steps=CLIP_STEPS,
        guidance_scale=profile.guidance_scale,
        windows=WindowSettings(context_frames=CLIP_WINDOW, context_overlap=CLIP_OVERLAP),
    )
    reference = fit(read_picture(samples.characters[0]), *size, "pad")
    skeletons = draw_poses(poses, profile.drawing, size)
    return np.stack(list(animate(models, reference, skeletons, settings)))
