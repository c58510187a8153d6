"""Networks against the larger numbers of the published code, float32 on the CPU."""

import pytest
import torch

from animate_anyone_core.models.denoising_unet import fold_frames, unfold_frames
from animate_anyone_core.models.references import Reference
from animate_anyone_core.models.temporal import temporal_layer


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
    pose = parity.pose[:, :, : sample.shape[2]] if case != "nopose" else None
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
    for path in cases:
        # Our forward calls the resnets, samplers and so on itself: hook what ends the block
        module = parity.denoising_unet.get_submodule(path)
        if path == "mid_block":
            module = module.resnets[1]
        elif getattr(module, "downsamplers", None) or getattr(module, "upsamplers", None):
            module = (getattr(module, "downsamplers", None) or module.upsamplers)[0]
        else:
            continue
        hooks.append(module.register_forward_hook(lambda m, i, o, p=path: seen.update({p: o})))
    sample = parity.inputs["unet/sample"]
    frames = sample.shape[2]
    parity.denoising_unet(
        sample,
        parity.inputs["unet/timestep"],
        Reference(parity.clip, parity.reference),
        pose=parity.pose[:, :, :frames],
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
        pose=given["pose_fea"],
        attention=parity.kernel,
    )
    compare("unet/batch_of_two", out, expected)
