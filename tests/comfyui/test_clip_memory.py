"""A clip takes the memory of a window through the nodes, from a driving video to the saved result."""

import sys

import pytest
from comfyui_harness import first_light as line
from comfyui_harness.small_clip import once

FEW, MANY = 30, 110
#: What may be added for a frame. One of the driving video takes 3.1 MB in an IMAGE; the peak of a
#: process differs by up to 17 MB from run to run, which is 0.2 MB for each of 80 frames.
MOST_BYTES = 500_000

SNIPPET = (
    f"""
import tempfile
import numpy as np
from comfy_api.latest import InputImpl

FEW, MANY, SIDE, DRIVER_SIDE = {FEW}, {MANY}, 128, 512
network, report = core("checkpoints.load").load_pose_guider(
    Path({str(line.MODEL)!r}) / "pose_guider.safetensors")
handle = ours("patchers").manage(network, "fp32", report)
"""
    + """
vae = ours("load_vae").load_vae(FOLDER / "vae")
model = make_model()
HEIGHT = WIDTH = SIDE // 8
reference = make_reference(1)
folder = tempfile.TemporaryDirectory()

def drive(count):
    path = Path(folder.name) / f"{count}.mp4"
    slope = np.indices((DRIVER_SIDE, DRIVER_SIDE)).sum(axis=0)[..., None].astype(np.uint8)
    moving = (np.repeat(slope + np.uint8(shift % 256), 3, axis=2) for shift in range(count))
    core("video").write_video(path, moving, 25)
    return InputImpl.VideoFromFile(str(path))

def peak():
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])

def animated(video):
    with torch.inference_mode():
        pose = ours("encode_pose").EncodePose.execute(handle, video, reference).args[0]
        latent = ours("sampler").Sampler.execute(
            model, reference, pose, 8, 2, "open", "pyramid", seed=1, steps=1, cfg=1.0,
            sampler_name="published ddim", scheduler="simple", denoise=1.0).args[0]
        out = ours("stream_video").StreamVideo.execute(vae, latent, 25.0, 8, None, video)
        out.args[0].save_to(str(Path(folder.name) / "made.mp4"))

videos = [drive(FEW), drive(MANY)]
peaks = []
for video in (videos[0], *videos):  # the first loads what is loaded once
    animated(video)
    peaks.append(peak())
result = (peaks[2] - peaks[1]) / (MANY - FEW)
"""
)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_memory_grows_by_less_than_a_frame_takes(checkout, in_comfyui):
    assert once(checkout, SNIPPET, in_comfyui) < MOST_BYTES
