"""The denoising UNet: diffusers' UNet where nothing is added, and what each addition may touch."""

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch.testing import assert_close

from animate_anyone_core.errors import SettingsError, ShapeError
from animate_anyone_core.models.folded_frames import fold_frames, unfold_frames
from animate_anyone_core.models.pose_guider import PaperPoseGuider, PublishedPoseGuider
from animate_anyone_core.models.references import Reference

T = torch.tensor([480])


@pytest.fixture
def given(normal, reference_net):
    """A window of three frames, 6x4 cells, and what goes with it."""
    appearance = normal(1, 1, 24)
    return {
        "sample": normal(1, 4, 3, 6, 4),
        "appearance": appearance,
        "pose": normal(1, 32, 3, 6, 4),
        "features": reference_net(normal(1, 4, 6, 4), appearance),
    }


def run(unet, given, *, t=T, rows=None, **changes):
    given = given | changes
    reference = Reference(given["appearance"], given["features"] or {})
    return unet(given["sample"], t, reference, strengths=rows, pose=given["pose"])


def test_frames_fold_and_unfold(normal):
    x = normal(2, 3, 5, 4, 6)
    folded = fold_frames(x)
    assert torch.equal(folded[1 * 5 + 2], x[1, :, 2])
    assert torch.equal(unfold_frames(folded, 5), x)


def test_without_additions_it_is_diffusers_unet(image_unet, tiny_config, given):
    """No temporal layers, no reference, no pose: every frame as the 2-D UNet predicts it."""
    settings = {k: v for k, v in tiny_config.to_diffusers().items() if k != "_class_name"}
    stock = UNet2DConditionModel(**settings).eval()
    stock.load_state_dict(image_unet.state_dict())
    out = run(image_unet, given, pose=None, features=None)
    for frame in range(3):
        with torch.no_grad():
            expected = stock(given["sample"][:, :, frame], T, given["appearance"]).sample
        assert_close(out[:, :, frame], expected, rtol=1e-4, atol=1e-5)


def test_a_longer_window_than_the_position_table_is_refused(unet, given, normal):
    with pytest.raises(SettingsError) as error:
        run(unet, given, sample=normal(1, 4, 13, 6, 4), pose=None)
    assert str(error.value) == (
        "A window of 13 frames is longer than these weights can see: their position table has 12 "
        "entries. Use a window of at most 12 frames."
    )


def test_the_longest_window_and_the_image_model_are_not_limited_further(
    unet, image_unet, given, normal
):
    assert run(unet, given, sample=normal(1, 4, 12, 6, 4), pose=None).shape[2] == 12
    assert run(image_unet, given, sample=normal(1, 4, 13, 6, 4), pose=None).shape[2] == 13


@pytest.mark.parametrize(
    "shape",
    [(1, 32, 4, 6, 4), (1, 16, 3, 6, 4), (1, 32, 3, 4, 6), (2, 32, 3, 6, 4), (1, 32, 1, 6, 4)],
)
def test_a_pose_of_another_shape_is_refused(unet, given, normal, shape):
    with pytest.raises(ShapeError) as error:
        run(unet, given, pose=normal(*shape))
    assert str(error.value) == (
        f"Pose features must have the shape (1 or 1, 32, 3, 6, 4), got {shape}. Encode the poses "
        "at the size of the video, one a frame, with the Pose Guider of the same family."
    )


@pytest.mark.parametrize("kind", [PublishedPoseGuider, PaperPoseGuider])
def test_a_fresh_pose_guider_changes_nothing(unet, given, normal, kind):
    guider = kind(out_channels=32)
    with torch.no_grad():
        pose = guider(normal(3, 3, 48, 32).sigmoid()).transpose(0, 1)[None]
    assert torch.equal(run(unet, given, pose=pose), run(unet, given, pose=None))


def test_pose_reference_appearance_and_time_all_act(unet, given, normal):
    out = run(unet, given)
    for change in (
        {"pose": None},
        {"features": None},
        {"appearance": normal(1, 1, 24)},
        {"t": torch.tensor([100])},
    ):
        assert not torch.allclose(run(unet, given, **change), out, atol=1e-2), change


@pytest.mark.parametrize(("height", "width"), [(5, 7), (9, 6), (3, 11), (1, 5)])
def test_latents_need_not_be_multiples_of_anything(unet, reference_net, normal, height, width):
    appearance = normal(1, 1, 24)
    features = reference_net(normal(1, 4, height, width), appearance)
    sample = normal(1, 4, 2, height, width)
    out = unet(sample, T, Reference(appearance, features))
    assert out.shape == sample.shape
    assert out.isfinite().all()


def test_a_batch_of_two_equals_two_batches(unet, reference_net, normal):
    """Every row with its own sample, time, appearance, reference and pose."""
    sample, appearance = normal(2, 4, 3, 6, 4), normal(2, 1, 24)
    pose, t = normal(2, 32, 3, 6, 4), torch.tensor([10, 900])
    features = reference_net(normal(2, 4, 6, 4), appearance)
    together = unet(sample, t, Reference(appearance, features), pose=pose)
    for row in range(2):
        part = slice(row, row + 1)
        features_alone = {path: tokens[part] for path, tokens in features.items()}
        own = Reference(appearance[part], features_alone)
        alone = unet(sample[part], t[part], own, pose=pose[part])
        assert_close(together[part], alone, rtol=1e-4, atol=1e-5)


def test_guidance_rows_equal_a_run_without_and_a_run_with_reference(unet, given):
    both = run(
        unet,
        given,
        sample=given["sample"].repeat(2, 1, 1, 1, 1),
        appearance=torch.cat([torch.zeros(1, 1, 24), given["appearance"]]),
        rows=(False, True),
    )
    unconditional = run(unet, given, appearance=torch.zeros(1, 1, 24), features=None)
    assert_close(both[:1], unconditional, rtol=1e-4, atol=1e-5)
    assert_close(both[1:], run(unet, given), rtol=1e-4, atol=1e-5)


def test_appearance_may_differ_from_frame_to_frame(image_unet, given, normal):
    each = normal(3, 1, 24)
    out = run(image_unet, given, appearance=each)
    for frame in range(3):
        alone = run(image_unet, given, appearance=each[frame : frame + 1])
        assert_close(out[:, :, frame], alone[:, :, frame], rtol=1e-4, atol=1e-5)
    same = run(image_unet, given, appearance=given["appearance"].repeat(3, 1, 1))
    assert_close(same, run(image_unet, given))


def test_without_temporal_layers_frames_do_not_see_each_other(image_unet, given):
    out = run(image_unet, given)
    for frame in range(3):
        part = slice(frame, frame + 1)
        alone = run(
            image_unet,
            given,
            sample=given["sample"][:, :, part],
            pose=given["pose"][:, :, part],
        )
        assert_close(out[:, :, part], alone, rtol=1e-4, atol=1e-5)


def test_nothing_is_remembered_between_calls(unet, given, normal):
    before = {k: v.clone() for k, v in unet.state_dict().items()}
    attributes = {name: set(vars(module)) for name, module in unet.named_modules()}
    first = run(unet, given)
    run(unet, given, sample=normal(1, 4, 5, 3, 3), pose=None, features=None)
    assert torch.equal(run(unet, given), first)
    assert all(torch.equal(v, before[k]) for k, v in unet.state_dict().items())
    assert {name: set(vars(module)) for name, module in unet.named_modules()} == attributes


def test_gradients_reach_reference_pose_and_weights(unet, given):
    leaves = {path: tokens.clone().requires_grad_() for path, tokens in given["features"].items()}
    pose = given["pose"].clone().requires_grad_()
    weight = unet.mid_block.motion_modules[0].proj_out.weight
    weight.requires_grad_()
    try:
        run(unet, given, features=leaves, pose=pose).square().mean().backward()
        assert all(leaf.grad is not None and leaf.grad.any() for leaf in leaves.values())
        assert pose.grad.any()
        assert weight.grad.any()
    finally:
        weight.requires_grad_(False)
        weight.grad = None


def test_what_is_deep_can_be_used_again(unet, given, normal):
    """At the same time and sample it gives the same bits; only the ends of the network then run."""
    reference = Reference(torch.cat([given["appearance"]] * 2), given["features"])
    how = {"strengths": (0.0, 1.0), "pose": given["pose"]}
    whole, deep = unet.predict(given["sample"], T, reference, **how)
    assert torch.equal(whole, unet(given["sample"], T, reference, **how))
    ran = []
    hooks = [
        m.register_forward_hook(lambda m, i, o, p=path: ran.append(p))
        for path, m in unet.named_modules()
        if path.endswith(".norm2") and "transformer" not in path
    ]
    again, same = unet.predict(given["sample"], T, reference, **how, deep=deep)
    assert torch.equal(again, whole)
    assert torch.equal(same, deep)
    assert ran == ["up_blocks.1.resnets.1.norm2"]
    other, _ = unet.predict(normal(1, 4, 3, 6, 4), T, reference, **how, deep=deep)
    for hook in hooks:
        hook.remove()
    assert not torch.allclose(other, whole, atol=1e-2), "the ends of the network see the new sample"
    own = Reference(given["appearance"], given["features"])
    alone, _ = unet.predict(given["sample"], T, own, pose=given["pose"], deep=deep)
    assert_close(alone, whole[1:], rtol=1e-5, atol=1e-5)
