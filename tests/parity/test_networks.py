"""Networks against the larger numbers of the published code, float32 on the CPU."""

import pytest
import torch

from animate_anyone_core.models.folded_frames import fold_frames, unfold_frames
from animate_anyone_core.models.references import Reference
from animate_anyone_core.models.temporal import temporal_layer
from animate_anyone_core.sampling.windows import published_windows
from animate_anyone_core.self_test.differences import Limit, difference


def needs(parity, name):
    if name not in parity.expected:
        pytest.skip(f"this fixture has no case {name}")
    return parity.expected[name]


def test_pose_guider(parity, compare):
    expected = needs(parity, "pose_guider/out")
    compare("pose_guider/out", parity.pose[:, :, : expected.shape[2]], expected)


@torch.no_grad()
def test_reference_features(parity, compare):
    """Row 0 from a zero embedding, row 1 from the picture's; every block by its path."""
    expected = {k[10:]: v for k, v in parity.expected.items() if k.startswith("reference/")}
    appearance = torch.cat([torch.zeros_like(parity.clip), parity.clip])
    latents = parity.inputs["ref_latents"].expand(2, -1, -1, -1)
    features = parity.reference_net(latents, appearance, attention=parity.kernel)
    assert set(parity.reference_net.feature_paths()) == set(features)
    assert set(expected) <= set(features)
    for path, tokens in expected.items():
        compare(f"reference/{path}", features[path], tokens)


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "path"),
    [("down0", "down_blocks.0.motion_modules.0"), ("mid", "mid_block.motion_modules.0")],
)
def test_motion_modules(parity, name, path, compare):
    expected = needs(parity, f"motion/{name}_out")
    x = parity.inputs[f"motion/{name}_in"]
    module = parity.denoising_unet.get_submodule(path)
    out = temporal_layer(module, fold_frames(x), x.shape[2], parity.kernel)
    compare(f"motion/{name}_out", unfold_frames(out, x.shape[2]), expected)


@torch.no_grad()
@pytest.mark.parametrize("case", ["nocfg", "cfg", "noref", "nopose", "stage1_image"])
def test_unet(parity, case, compare):
    expected = needs(parity, f"unet/{case}")
    sample = parity.inputs["unet/sample"][:, :, : expected.shape[2]]
    pose = parity.first_pose(sample.shape[2]) if case != "nopose" else None
    features = parity.reference if case != "noref" else {}
    appearance, strengths = parity.clip, None
    if case == "cfg":
        sample = sample.expand(2, -1, -1, -1, -1)
        appearance = torch.cat([torch.zeros_like(parity.clip), parity.clip])
        strengths = (0.0, 1.0)
    unet = parity.unet(image_only=True) if case == "stage1_image" else parity.denoising_unet
    t = parity.inputs["unet/timestep"]
    reference = Reference(appearance, features)
    out = unet(sample, t, reference, strengths=strengths, pose=pose, attention=parity.kernel)
    compare(f"unet/{case}", out, expected)


@torch.no_grad()
def test_unet_blocks(parity, compare):
    """The same forward block by block, so that a difference is found where it starts."""
    cases = {k[17:]: v for k, v in parity.expected.items() if k.startswith("unet/nocfg_debug/")}
    if not cases:
        pytest.skip("this fixture has no block outputs")
    seen = {}
    hooks = []
    unet = parity.denoising_unet
    starts = {  # what enters the next block holds what left this one in front of the skip
        f"up_blocks.{i}": (block.resnets[0], unet.up_blocks[i].resnets[-1].out_channels)
        for i, block in enumerate(unet.up_blocks[1:])
    }
    for path in cases:
        # Our forward calls the resnets, samplers and so on itself: hook what ends the block
        module = unet.get_submodule(path)
        if path in starts:
            following, channels = starts[path]
            hooks.append(
                following.register_forward_pre_hook(
                    lambda m, i, p=path, c=channels: seen.update({p: i[0][:, :c]})
                )
            )
            continue
        if path == "mid_block":
            module = module.resnets[1]
        elif getattr(module, "downsamplers", None):
            module = module.downsamplers[0]
        else:
            continue
        hooks.append(module.register_forward_hook(lambda m, i, o, p=path: seen.update({p: o})))
    sample = parity.inputs["unet/sample"]
    frames = sample.shape[2]
    parity.denoising_unet(
        sample,
        parity.inputs["unet/timestep"],
        Reference(parity.clip, parity.reference),
        pose=parity.first_pose(frames),
        attention=parity.kernel,
    )
    for hook in hooks:
        hook.remove()
    assert len(seen) >= 4
    for path, out in seen.items():
        compare(f"unet/nocfg_debug/{path}", unfold_frames(out, frames), cases[path])


@torch.no_grad()
def test_batch_of_two_references(parity, compare):
    """The training forward: every row with its own reference, embedding, pose and time."""
    expected = needs(parity, "unet_batch2/out")
    given = {k[12:]: v for k, v in parity.inputs.items() if k.startswith("unet_batch2/")}
    appearance = given["encoder_hidden_states"]
    features = parity.reference_net(given["ref_latents"], appearance, attention=parity.kernel)
    out = parity.denoising_unet(
        given["sample"],
        given["timestep"],
        Reference(appearance, features),
        pose=given["pose_fea"]
        if "pose_fea" in given
        else tuple(given[f"pose_fea_{i}"] for i in range(5)),
        attention=parity.kernel,
    )
    compare("unet/batch_of_two", out, expected)


@torch.no_grad()
@pytest.mark.parametrize(
    "which", ["published_range", "training_range", "published_range_last_window"]
)
def test_guider_of_windows(parity, which, compare):
    """AniPortrait's guider: five maps of a window's frames, at either range of its input."""
    prefix = f"guider/{which}/"
    expected = {k: v for k, v in parity.expected.items() if k.startswith(prefix)}
    if not expected:
        pytest.skip(f"this fixture has no case {prefix}")
    frames = next(iter(expected.values())).shape[2]
    s = parity.inference["sampling"]
    plan = published_windows(
        s["num_frames"],
        s["context_frames"],
        s["context_stride"],
        s["context_overlap"],
        closed_loop=s["closed_loop"],
    )
    window = plan[-1] if which.endswith("last_window") else list(range(frames))
    pose = parity.windowed_pose(
        s["num_frames"], [window], published_range=which != "training_range"
    )
    maps = pose.of(window)
    for name, tensor in expected.items():
        compare(name, maps[int(name[-1])][:, :, :frames], tensor)


@torch.no_grad()
def test_extra_channels_enter_the_first_convolution(parity, compare):
    """Their order shows here at once."""
    name = next((n for n in CONV_IN if n in parity.expected), None)
    if name is None:
        pytest.skip("this fixture has no case of the first convolution")
    expected = parity.expected[name]
    sample = parity.inputs["unet/sample"][:, :, : expected.shape[2]]
    out = parity.denoising_unet.conv_in(fold_frames(sample))
    compare("unet/conv_in", unfold_frames(out, sample.shape[2]), expected)


CONV_IN = ("unet/nocfg_debug/conv_in", "unet/conv_in_out_frame0")


@torch.no_grad()
def test_white_background(parity, compare):
    """Weights that see a background, on the latents of a plain white one."""
    expected = needs(parity, "unet/white")
    sample = parity.inputs["unet/sample"].clone()
    white = parity.inputs["white_latents"]
    sample[:, -white.shape[1] :] = white[:, :, None]
    out = parity.denoising_unet(
        sample,
        parity.inputs["unet/timestep"],
        Reference(parity.clip, parity.reference),
        pose=parity.first_pose(sample.shape[2]),
        attention=parity.kernel,
    )
    compare("unet/white", out, expected)


@torch.no_grad()
@pytest.mark.parametrize("case", ["extra_off", "four_channels"])
def test_extra_channels_without_weight(parity, case, compare):
    """Zeros in the extra channels' weights: the network without them, and as published."""
    extra = 0 if parity.extra is None else parity.extra.shape[1]
    if not extra:
        pytest.skip("this family has no extra channels")
    sample = parity.inputs["unet/sample"]
    wide = parity.unet()
    kept = sample.shape[1] - extra
    weight = wide.conv_in.weight.data.clone()
    weight[:, kept:] = 0
    outs = []
    for used in (weight, weight[:, :kept].contiguous()):
        wide.conv_in.weight.data = used
        out = wide(
            sample[:, : used.shape[1]],
            parity.inputs["unet/timestep"],
            Reference(parity.clip, parity.reference),
            pose=parity.first_pose(sample.shape[2]),
            attention=parity.kernel,
        )
        outs.append(out)
    both = difference("zeros", outs[0], outs[1], Limit(5e-5, 1e-6))
    assert both.of_limit <= 1.0, str(both)
    if f"unet/{case}" in parity.expected:
        compare(f"unet/{case}", outs[case == "four_channels"], parity.expected[f"unet/{case}"])
