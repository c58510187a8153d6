"""Nodes of other packs that sample again at another size: a whole clip enlarged, parts of it, tiles.

Stand-ins do what such nodes do to the latents, and sample them with the same MODEL and conditioning.
"""

import pytest
from comfyui_harness.small_clip import once

SAME = 1e-5  # relative L2: the same sums
EFFECT = 0.01

SNIPPET = """
result = {}
model = make_model()
ratio = 3 / 2
large = (round(ratio * HEIGHT), round(ratio * WIDTH))

def second_pass(given, rows=slice(None), size=large, **how):
    # the clip's latents at another size, half denoised again
    latents = torch.nn.functional.interpolate(normal(9, FRAMES, 4, HEIGHT, WIDTH)[rows], size)
    return sample(model, given, {"samples": latents}, steps=2, denoise=0.5, **how)

def poses(features):
    height, width = features.shape[-2:]
    clip = features.transpose(0, 1)[None]
    return ours("sockets").EncodedPose(clip, range(len(features)), 8 * width, 8 * height)

# what is the same everywhere in the picture is so at any size: the poses need no new encoding
flat = normal(4, FRAMES, reference_net.config.block_out_channels[0], 1, 1)
small = conds(model, pose=poses(flat.expand(-1, -1, HEIGHT, WIDTH)))
encoded_large = conds(model, pose=poses(flat.expand(-1, -1, HEIGHT, WIDTH)))
for kind in encoded_large:  # as if they had been encoded at that size
    kind[0][1]["aa_pose"] = poses(flat.expand(-1, -1, *large))
result["followed"] = off(second_pass(small), second_pass(encoded_large))
result["effect of poses"] = off(second_pass(conds(model)), second_pass(small))
windows = of_ours("context_windows", "ContextWindows", model=model, context_frames=3,
                  context_overlap=1, schedule="open", blending="pyramid")
latents = torch.zeros(FRAMES, 4, *large)
made = sample(windows, conds(windows), {"samples": latents}, steps=1)
result["in windows"] = [list(made.shape), bool(torch.isfinite(made).all())]

def message(*arguments, **how):
    try:
        second_pass(conds(model), *arguments, **how)
    except Exception as error:
        return [type(error).__name__, str(error)]

result["a square about the face"] = message(size=(16, 16))
result["a tile"] = message(size=(8, 16))
result["frame by frame"] = message(rows=slice(0, 1))
"""


@pytest.fixture
def results(checkout, in_comfyui):
    return once(checkout, SNIPPET, in_comfyui)


def test_poses_follow_a_clip_that_was_enlarged(results):
    assert results["followed"] < SAME
    assert results["effect of poses"] > EFFECT
    assert results["in windows"] == [[5, 4, 18, 12], True]


@pytest.mark.parametrize("part", ["a square about the face", "a tile"])
def test_a_part_of_the_picture_is_refused_with_the_way_that_works(results, part):
    kind, sentence = results[part]
    assert kind == "ShapeError"
    assert "the poses were encoded at 64x96" in sentence
    assert '"Face Crop" gives the part and its own poses, "Face Paste" puts it back' in sentence


def test_a_detailer_that_takes_one_frame_at_a_time_is_told_so(results):
    kind, sentence = results["frame by frame"]
    assert kind == "ShapeError"
    assert sentence.startswith("The latents have 1 frames, but 5 poses are wired in.")
    assert 'a detailer must take the clip as a whole, as "Face Crop" does' in sentence
