"""The denoising UNet as a real ComfyUI MODEL: any sampler, scheduler, guider and LoRA node works on it.

ComfyUI hands over all rows at once, (conditions · frames, C, h, w); here they become (B, C, F, h, w).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import comfy.conds
import comfy.model_base
import comfy.model_management as mm
import comfy.patcher_extension
import comfy.supported_models_base
import torch
from torch import Tensor

from ..animate_anyone_core.checkpoints.families import FamilyProfile
from ..animate_anyone_core.checkpoints.latent_colors import LatentColors
from ..animate_anyone_core.checkpoints.load import DenoisingUNetFiles
from ..animate_anyone_core.errors import NotFiniteError, ShapeError
from ..animate_anyone_core.models.careful_denoiser import first_not_finite
from ..animate_anyone_core.models.config import TemporalConfig, UNetConfig
from ..animate_anyone_core.models.denoising_unet import DenoisingUNet
from ..animate_anyone_core.models.finite import is_finite
from ..animate_anyone_core.models.folded_frames import fold_frames, unfold_frames
from ..animate_anyone_core.models.less_memory import (
    Way,
    first_that_fits,
    in_pieces,
    is_out_of_memory,
)
from ..animate_anyone_core.models.memory import activation_bytes, may_pack, may_unfold
from ..animate_anyone_core.models.pose_maps import PoseFeatures
from ..animate_anyone_core.sampling.deep_features import DeepFeatures
from ..animate_anyone_core.sampling.strength import TimedStrength
from .comfy_patches import ComfyPatches, comfy_attention
from .condition_rows import ConditionRow, ConditionRows, FrameRows, join_references, row_strengths
from .latent_format import check_clip, latent_format_for
from .patchers import IN_FP32, swap_layers
from .sockets import EncodedPose
from .speed import DEEP_FEATURES
from .window_poses import PoseSource, pose_rows, pose_source

# diffusers' name -> ComfyUI's: what diffusers calls linear, ComfyUI calls sqrt_linear
_BETA_SCHEDULES = {"linear": "sqrt_linear", "scaled_linear": "linear"}
_PREDICTIONS = {
    "v_prediction": comfy.model_base.ModelType.V_PREDICTION,
    "epsilon": comfy.model_base.ModelType.EPS,
}


class AnimateAnyoneConfig(comfy.supported_models_base.BASE):
    """What ComfyUI wants to know of a model besides its weights.

    Args:
        files: What was read of the model.
        colors: How its latents look, for previews; None takes Stable Diffusion 1.5's, or none.
    """

    unet_config: dict = {}  # noqa: RUF012 (ComfyUI's protocol)
    unet_extra_config: dict = {}  # noqa: RUF012
    memory_usage_factor = 1.0

    def __init__(self, files: DenoisingUNetFiles, colors: LatentColors | None = None) -> None:
        super().__init__(
            {
                # read by FreeU and HyperTile; not num_res_blocks, which would redirect LoRA keys
                "model_channels": files.config.block_out_channels[0],
                "config": files.config,
                "temporal": files.temporal,
            }
        )
        self.latent_format = latent_format_for(files.config.out_channels, colors)
        self.profile: FamilyProfile = files.profile
        noise = files.profile.noise
        self.sampling_settings = {
            "beta_schedule": _BETA_SCHEDULES[noise.beta_schedule],
            "linear_start": noise.beta_start,
            "linear_end": noise.beta_end,
            "zsnr": noise.rescale_betas_zero_snr,
        }
        self.prediction = _PREDICTIONS[noise.prediction_type]


class AnimateAnyoneModel(comfy.model_base.BaseModel):
    """The MODEL: turns our conditioning into what the network takes."""

    def __init__(self, config: AnimateAnyoneConfig, device: Any = None) -> None:
        super().__init__(config, config.prediction, device=device, unet_model=ComfyDenoisingUNet)
        self.profile = config.profile

    def extra_conds(self, **kwargs: Any) -> dict[str, Any]:
        """ComfyUI's hook: the conditioning's entries become the network's arguments."""
        noise = kwargs["noise"]
        check_clip(noise, self.latent_format.latent_channels, "model")
        conds = super().extra_conds(**kwargs)
        pose: EncodedPose | None = kwargs.get("aa_pose")
        level_at = self.model_sampling.percent_to_sigma
        if pose is not None:
            conds["poses"] = comfy.conds.CONDConstant(pose_source(pose, noise))
            conds["pose"] = pose_rows(pose)
            if pose.scene is not None:  # joined behind the noisy latents, in both halves
                conds["c_concat"] = FrameRows(pose.scene.channels)
            if not pose.strength.changes_nothing:
                timed = pose.strength.timed(level_at)
                conds["pose_strength"] = comfy.conds.CONDConstant(timed)
        reference: ConditionRow | None = kwargs.get("aa_reference")
        if reference is not None:
            conds["reference"] = ConditionRows([reference.timed(level_at)])
            if reference.encoded.reference.others:  # characters in places: which frames are these?
                conds["frame_numbers"] = FrameRows(_frame_numbers(noise))
        elif kwargs["cross_attn"].shape[1] != 1:  # an appearance is one token, a text is 77
            raise ShapeError(
                "This conditioning, such as a text prompt, shows the model no character. Wire positive "
                'and negative of "Animate Anyone Conditioning" into the sampler.'
            )
        return conds

    def memory_required(self, input_shape: Any, cond_shapes: Any = {}) -> float:  # noqa: B006
        """Bytes of activations for (rows · frames, C, h, w): of one window, where there are windows."""
        compute = self.manual_cast_dtype or self.get_dtype()
        config = self.model_config.unet_config["config"]
        rows, *_, height, width = input_shape
        device = mm.get_torch_device()
        kernels = {"unfolds": may_unfold(device, compute), "packs": may_pack(device, compute)}
        return activation_bytes(config, rows, height, width, compute.itemsize, **kernels)


class ComfyDenoisingUNet(DenoisingUNet):
    """The core's network with ComfyUI's layers, called the way ComfyUI calls its UNet.

    Args:
        config: Shapes of the spatial part.
        temporal: Shapes of the temporal layers.
        dtype: Type of the weights.
        operations: ComfyUI's layer classes.
        device: Ignored: the weights come with their device.
        model_channels: Ignored: stands in ComfyUI's config for other nodes.
    """

    def __init__(
        self,
        config: UNetConfig,
        temporal: TemporalConfig | None,
        dtype: torch.dtype,
        operations: Any,
        device: Any = None,
        model_channels: int = 320,
    ) -> None:
        with torch.device("meta"):  # nothing is initialised that the file would overwrite
            super().__init__(config, temporal)
        self.dtype = dtype
        self._ways: dict[torch.Size, int] = {}  # shape -> what fitted the last time
        swap_layers(self, operations)

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor | None = None,
        control: dict | None = None,
        transformer_options: dict | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """ComfyUI's call: rows (n·F, C, h, w), one time and one context a row.

        Args:
            x: Scaled noisy latents of all conditions.
            timesteps: Diffusion time of every row.
            context: Appearance tokens (n·F, T, D).
            control: ControlNet residuals, lists that are consumed.
            transformer_options: ComfyUI's patches and facts of this call.
            kwargs: `pose`, `pose_strength`, `poses` and `reference` from our conditioning; others
                are ignored.
        """
        options = dict(transformer_options or {})
        return comfy.patcher_extension.WrapperExecutor.new_class_executor(
            self._forward,
            self,
            comfy.patcher_extension.get_all_wrappers(
                comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, options
            ),
        ).execute(x, timesteps, context, control, options, **kwargs)

    def _forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor | None,
        control: dict | None,
        transformer_options: dict,
        pose: Tensor | None = None,
        pose_strength: TimedStrength | None = None,
        poses: PoseSource | None = None,
        reference: list[ConditionRow] | None = None,
        frame_numbers: Tensor | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """The prediction in the first way for which there is memory; ComfyUI's own error if none."""
        options = transformer_options
        given = _Conditions(context, pose, pose_strength, poses, reference, frame_numbers)

        def whole(pieces: bool = False) -> Tensor:
            residuals = {place: list(parts) for place, parts in (control or {}).items()}  # consumed
            return self._predict(x, timesteps, residuals, options, given, pieces)

        def by_row() -> Tensor:
            rows = options["cond_or_uncond"]
            each = len(x) // len(rows)
            parts = []
            for row, kind in enumerate(rows):
                own = slice(row * each, (row + 1) * each)
                own_options = {**options, "cond_or_uncond": [kind]}
                parts.append(
                    self._predict(x[own], timesteps[own], None, own_options, given.row(row, own))
                )
            return torch.cat(parts)

        ways = [Way("everything at once", whole)]
        is_patched = control or ComfyPatches(options, None, x.shape, self.config).is_active
        if len(options.get("cond_or_uncond", ())) > 1 and not is_patched:
            ways.append(Way("one half of guidance at a time", by_row))
        ways.append(Way("attention in pieces", partial(whole, pieces=True)))
        first = min(self._ways.get(x.shape, 0), len(ways) - 1)
        out, self._ways[x.shape] = first_that_fits(ways, first, _is_full)
        return out

    def _predict(
        self,
        x: Tensor,
        timesteps: Tensor,
        control: dict | None,
        transformer_options: dict,
        given: "_Conditions",
        pieces: bool = False,
    ) -> Tensor:
        batch = len(transformer_options.get("cond_or_uncond", (0,)))
        num_frames = x.shape[0] // batch
        if given.context is None:
            raise ShapeError(
                "The model got no appearance tokens. Use the conditioning of the node "
                '"Animate Anyone Conditioning".'
            )

        level = _noise_level(transformer_options, given.reference, given.pose_strength)
        strengths = row_strengths(given.reference, batch, level)
        seen = None
        if given.pose is not None and given.poses is not None:
            seen = given.poses.seen(given.pose.reshape(batch, num_frames, -1), x)
        if seen is not None and given.pose_strength is not None:
            share = given.pose_strength.at(level)
            seen = _times(seen, share) if share else None

        attention = partial(
            comfy_attention, attn_precision=None, transformer_options=transformer_options
        )
        call = partial(
            self._keeping_features(transformer_options),
            unfold_frames(x, num_frames),
            timesteps.reshape(batch, -1)[:, 0],
            join_references(
                given.context,
                given.reference,
                strengths,
                x,
                _frames(given.frame_numbers, num_frames),
            ),
            strengths=strengths,
            pose=seen,
            attention=in_pieces(attention) if pieces else attention,
            interventions=ComfyPatches(transformer_options, control, x.shape, self.config),
        )
        out = call()
        if not is_finite(out):
            place = "the denoising UNet"
            if not control:  # its residuals are used up
                place = first_not_finite(self, (x, given.context, seen), call)
            raise NotFiniteError(f"NaN or infinite numbers came up in {place}. {IN_FP32}")
        return fold_frames(out)

    def _keeping_features(self, options: dict) -> Callable[..., Tensor]:
        """The prediction of a call, which uses and keeps deep features if a speed is chosen."""
        run: DeepFeatures | None = options.get(DEEP_FEATURES)
        if run is None:
            return super().forward
        window = options.get("context_window")
        frames = () if window is None else tuple(window.index_list)
        part = frames, tuple(options["cond_or_uncond"])
        return run.around(self, part, float(options["sigmas"][0]))


@dataclass(frozen=True)
class _Conditions:
    """What a call is conditioned on; tensors have a row for every frame of every condition."""

    context: Tensor | None
    pose: Tensor | None
    pose_strength: TimedStrength | None
    poses: PoseSource | None
    reference: list[ConditionRow] | None
    frame_numbers: Tensor | None

    def row(self, number: int, own: slice) -> "_Conditions":
        """Of one condition alone, whose frames are `own`."""
        context, pose, frames = (
            None if part is None else part[own]
            for part in (self.context, self.pose, self.frame_numbers)
        )
        return replace(
            self,
            context=context,
            pose=pose,
            frame_numbers=frames,
            reference=None if self.reference is None else [self.reference[number]],
        )


def _is_full(error: BaseException) -> bool:
    """Whether memory ran out, in ComfyUI's word or another's."""
    return isinstance(error, mm.OOM_EXCEPTION) or is_out_of_memory(error)


def _times(pose: PoseFeatures, share: float) -> PoseFeatures:
    return pose * share if isinstance(pose, Tensor) else tuple(part * share for part in pose)


def _frame_numbers(noise: Tensor) -> Tensor:
    """The number of every frame (F, 1, h, w), which windows are cut out of as of the latents."""
    numbers = torch.arange(len(noise), device=noise.device)[:, None, None, None]
    return numbers.expand(-1, 1, *noise.shape[-2:])


def _frames(numbers: Tensor | None, num_frames: int) -> list[int] | None:
    """The frames of a call's window; None where nobody asks."""
    return None if numbers is None else numbers[:num_frames, 0, 0, 0].long().tolist()


def _noise_level(
    options: dict, reference: list[ConditionRow] | None, pose: TimedStrength | None
) -> float:
    """This call's sigma, read from the device only if a strength depends on it."""
    timed = pose is not None or any(row.when is not None for row in reference or ())
    return float(options["sigmas"][0]) if timed else 0.0
