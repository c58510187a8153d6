"""Cut Out with ComfyUI's own nodes behind it: the file that is saved is transparent where nobody is."""

import io

import numpy as np
import pytest
from comfyui_harness import first_light as line
from comfyui_harness.server import PromptFailedError
from PIL import Image, ImageSequence

BACKDROP, COLOR = np.array([120, 180, 200.0]), np.array([220, 60, 30.0])


def disk(at=48, hole=False):
    """A soft-edged disk on a plain backdrop, with its alpha: (96, 96, 3) uint8, (96, 96) float."""
    y, x = np.mgrid[:96, :96]
    alpha = np.clip(24.5 - np.hypot(x - at, y - 48), 0, 1)
    if hole:
        alpha = alpha * (np.hypot(x - at, y - 48) > 8)
    picture = alpha[..., None] * COLOR + (1 - alpha[..., None]) * BACKDROP
    return np.rint(picture).astype(np.uint8), alpha


def as_png(picture):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def load(server, name, picture):
    return line.node("LoadImage", image=server.upload(name, as_png(picture)))


def joined(images, skeletons=None):
    more = {} if skeletons is None else {"pose_images": skeletons}
    return {
        "cut": line.ours("CutOut", images=images, **more),
        "joined": line.node("JoinImageWithAlpha", image=["cut", 0], alpha=["cut", 1]),
    }


def test_an_animated_webp_keeps_the_transparency(server):
    disks = [disk(40), disk(56)]
    graph = {
        "a": load(server, "disk_a.png", disks[0][0]),
        "b": load(server, "disk_b.png", disks[1][0]),
        "both": line.node("ImageBatch", image1=["a", 0], image2=["b", 0]),
        **joined(["both", 0]),
        "save": line.node(
            "SaveAnimatedWEBP",
            images=["joined", 0],
            filename_prefix="cut",
            fps=6.0,
            lossless=True,
            quality=80,
            method="default",
        ),
    }
    entry = server.run(graph)
    with Image.open(server.path_of(server.files(entry, "save")[0])) as file:
        frames = [np.asarray(f.convert("RGBA"), float) for f in ImageSequence.Iterator(file)]
    assert len(frames) == 2
    for frame, (_, alpha) in zip(frames, disks, strict=True):
        assert np.abs(frame[..., 3] / 255 - alpha).mean() < 0.005
        assert np.abs(frame[alpha == 1][:, :3] - COLOR).max() < 3


def test_what_a_bone_runs_through_stays_and_other_openings_go(server):
    picture, alpha = disk(hole=True)
    bone = np.zeros_like(picture)
    bone[44:52, 30:66] = 255
    alphas = []
    for skeletons in (None, ["bone", 0]):
        graph = {
            "a": load(server, "ring.png", picture),
            "bone": load(server, "bone.png", bone),
            **joined(["a", 0], skeletons),
            "save": line.node("SaveImage", images=["joined", 0], filename_prefix="ring"),
        }
        files = server.files(server.run(graph), "save")
        alphas.append(np.asarray(Image.open(server.path_of(files[0])))[..., 3])
    assert alphas[0][48, 48] == 0
    assert alphas[1][48, 48] == 255
    assert all(found[48, 48 + 16] == 255 and found[2, 2] == 0 for found in alphas)
    assert np.abs(alphas[0] / 255 - alpha).mean() < 0.01


@pytest.mark.parametrize(
    ("picture", "skeletons", "said"),
    [
        (np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), 1, "is not plain"),
        (disk()[0], 2, "There must be one skeleton a frame, got 2 for 1 frames."),
    ],
)
def test_what_cannot_be_cut_out_is_refused_in_one_sentence(server, picture, skeletons, said):
    graph = {
        "a": load(server, "refused.png", picture),
        "bone": line.node("EmptyImage", width=64, height=64, batch_size=skeletons, color=0),
        **joined(["a", 0], ["bone", 0]),
        "save": line.node("SaveImage", images=["joined", 0], filename_prefix="refused"),
    }
    with pytest.raises(PromptFailedError) as failed:
        server.run(graph)
    assert said in failed.value.details["exception_message"]
