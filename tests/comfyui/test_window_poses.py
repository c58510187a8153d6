"""Poses are encoded as windows ask for them: to the numbers of the whole clip, in the room of a few."""

import pytest
from comfyui_harness import first_light as line
from comfyui_harness.small_clip import once

SNIPPET = (
    f"""
import numpy as np
FOLDER_OF_GUIDER = Path({str(line.MODEL)!r})
network, report = core("checkpoints.load").load_pose_guider(
    FOLDER_OF_GUIDER / "pose_guider.safetensors")
handle = ours("patchers").manage(network, "fp32", report)
dice = np.random.default_rng(1)
pictures = dice.integers(0, 256, (70, 8 * HEIGHT, 8 * WIDTH, 3), dtype=np.uint8)
encoded = ours("encode_pose").encode(handle, pictures, len(pictures))
pixels = core("pixels").pixels_01(pictures)
with torch.no_grad():
    whole = torch.cat([handle.patcher.model(part) for part in pixels.split(8)])
poses = ours("window_poses")
"""
    + """
def asked(rows, size=(HEIGHT, WIDTH), latents=(HEIGHT, WIDTH)):
    like = torch.zeros(1, *size)
    with torch.no_grad():
        return poses.PoseSource(encoded.features, latents).seen(torch.tensor(rows), like)

window = [69, 3, 40, 41]
rows = lambda y=0, x=0: [[number, y, x] for number in window]
seen = whole[window].transpose(0, 1)[None]
large = torch.nn.functional.interpolate(
    whole[window], (2 * HEIGHT, 2 * WIDTH), mode="bilinear", antialias=True).transpose(0, 1)[None]
part = poses.pose_rows(encoded.at(slice(60, 64))).process_cond(4, (3, 5, 1, 2)).cond.tolist()
result = {
    "shape": [list(encoded.features.shape), len(encoded), list(encoded.cells)],
    "window": torch.equal(asked([rows(), rows()]), seen),
    "larger": torch.equal(asked([rows()], (2 * HEIGHT, 2 * WIDTH), (2 * HEIGHT, 2 * WIDTH)), large),
    "areas": torch.equal(
        asked([rows(1, 2), rows(0, 3)], (3, 5)),
        torch.cat([seen[..., 1:4, 2:7], seen[..., 0:3, 3:8]])),
    "rows": part,
    "held": sum(chunk.shape[0] for chunk in encoded.features._chunks.values()),
    "beside": conds(make_model(), pose=replace(pose, guider=handle))[0][0][1]["additional_models"]
              == [handle.patcher],
}
"""
)


@pytest.fixture
def result(checkout, in_comfyui):
    return once(checkout, SNIPPET, in_comfyui)


@pytest.mark.parametrize("which", ["window", "larger", "areas"])
def test_a_call_sees_what_the_whole_clip_would_give_it(result, which):
    assert result[which]


def test_a_clip_keeps_two_windows_of_features(result):
    assert result["shape"] == [[1, result["shape"][0][1], 70, 12, 8], 70, [12, 8]]
    assert result["held"] <= 48


def test_an_area_is_cut_from_the_frames_that_are_asked_for(result):
    assert result["rows"] == [[number, 1, 2] for number in range(60, 64)]


def test_the_guider_is_loaded_beside_the_model(result):
    assert result["beside"]
