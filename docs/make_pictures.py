"""Draw the pictures of the help pages, from what ships with the pack: `python docs/make_pictures.py`.

Names as arguments draw only these, such as `draw_pose sampler`.
"""

import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageOps

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the core, whether it is installed or not

from animate_anyone_core.animate import animate  # noqa: E402
from animate_anyone_core.animate_settings import AnimateSettings  # noqa: E402
from animate_anyone_core.checkpoints.builtin import (  # noqa: E402
    built_in_pose_networks,
    built_in_samples,
)
from animate_anyone_core.checkpoints.model_folder import load_models  # noqa: E402
from animate_anyone_core.evaluation.report import side_by_side  # noqa: E402
from animate_anyone_core.face_pass import crop_faces  # noqa: E402
from animate_anyone_core.images import fit, read_picture  # noqa: E402
from animate_anyone_core.pose.detection import load_pose_detector  # noqa: E402
from animate_anyone_core.pose.drawing import draw_poses  # noqa: E402
from animate_anyone_core.pose.drawing_profiles import PROFILES  # noqa: E402
from animate_anyone_core.pose.face_boxes import find_face_boxes  # noqa: E402
from animate_anyone_core.pose.openpose_json import load_poses  # noqa: E402
from animate_anyone_core.pose.overlay import draw_overlay  # noqa: E402
from animate_anyone_core.pose.retarget import retarget_poses  # noqa: E402
from animate_anyone_core.pose.skeleton import WRISTS, PoseSequence  # noqa: E402
from animate_anyone_core.pose.smoothing import smooth_poses  # noqa: E402
from animate_anyone_core.sampling.blending import window_weights  # noqa: E402
from animate_anyone_core.sampling.windows import WindowSettings  # noqa: E402
from animate_anyone_core.video import read_video  # noqa: E402

PICTURES = ROOT / "web" / "docs" / "images"
SIDE = 180
GAP = 6
PAPER, INK, PALE, ACCENT = (250, 250, 248), (60, 60, 70), (200, 200, 205), (210, 80, 60)
SHOWN_FRAMES = (6, 18, 30, 42)
FRAMES_ANIMATED = 24

Picture = np.ndarray


def sheet(rows: Iterable[list[Picture]], captions: list[str] | None = None) -> Image.Image:
    """Rows of pictures beside each other, with captions above the columns."""
    rows = list(rows)
    head = 18 if captions else 0
    columns = max(len(row) for row in rows)
    size = (columns * (SIDE + GAP) - GAP, head + len(rows) * (SIDE + GAP) - GAP)
    page = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(page)
    for column, caption in enumerate(captions or []):
        draw.text((column * (SIDE + GAP) + 2, 3), caption, INK)
    for down, row in enumerate(rows):
        for across, picture in enumerate(row):
            small = ImageOps.contain(
                Image.fromarray(picture), (SIDE, SIDE), Image.Resampling.LANCZOS
            )
            left, top = (SIDE - small.width) // 2, (SIDE - small.height) // 2
            page.paste(small, (across * (SIDE + GAP) + left, head + down * (SIDE + GAP) + top))
    return page


def samples() -> tuple[list[Picture], Picture, PoseSequence]:
    """The characters, the dance and its poses."""
    files = built_in_samples()
    characters = [np.asarray(read_picture(path).convert("RGB")) for path in files.characters]
    return characters, read_video(files.driving).frames, load_poses(files.poses)


def builtin_inputs() -> Image.Image:
    """The characters, then frames of the dance above their poses."""
    characters, frames, poses = samples()
    drawn = draw_poses(poses, "moore")
    shown = SHOWN_FRAMES[: len(SHOWN_FRAMES) - 1]
    return sheet(
        [
            [characters[0], *(frames[i] for i in shown)],
            [characters[1], *(drawn[i] for i in shown)],
        ]
    )


def encode_reference() -> Image.Image:
    """One picture at half its width, in the three ways."""
    characters, *_ = samples()
    picture = Image.fromarray(characters[0])
    size = picture.width // 2, picture.height
    ways = ("crop", "pad", "stretch")
    shown = [characters[0], *(np.asarray(fit(picture, *size, way)) for way in ways)]
    return sheet([shown], ["the picture", *ways])


def detect_pose() -> Image.Image:
    """Frames above the poses that the built-in networks find in them."""
    _, frames, _ = samples()
    found, _ = load_pose_detector(*built_in_pose_networks(), "cpu").detect(frames)
    drawn = draw_poses(found, "moore")
    return sheet([[frames[i] for i in SHOWN_FRAMES], [drawn[i] for i in SHOWN_FRAMES]])


def retarget_pose() -> Image.Image:
    """The driver, the character, and the driver's poses on the character."""
    characters, frames, poses = samples()
    character = characters[1]
    detector = load_pose_detector(*built_in_pose_networks(), "cpu")
    reference, _ = detector.detect(character[None])
    result = retarget_poses(poses, reference)
    shown = SHOWN_FRAMES[1:]
    overlays = [draw_overlay(character, result, i) for i in shown]
    own = draw_poses(reference, "moore")[0]
    return sheet([[character, *(frames[i] for i in shown)], [own, *overlays]])


def draw_pose() -> Image.Image:
    """One pose in every style."""
    *_, poses = samples()
    styles = list(PROFILES)
    size = 512, 512
    drawn = [draw_poses(poses, style, size)[SHOWN_FRAMES[2]] for style in styles]
    return sheet([drawn], styles)


def smooth_pose() -> Image.Image:
    """The height of a wrist in pixels over time: jittered, and smoothed."""
    *_, poses = samples()
    jitter = np.random.default_rng(0).normal(0, poses.height / 60, poses.points.shape)
    unsure = PoseSequence(poses.points + jitter, poses.scores, poses.width, poses.height)
    smoothed, _ = smooth_poses(unsure)
    curves = [clip.points[:, 0, WRISTS[0], 1] for clip in (unsure, smoothed, poses)]
    page = Image.new("RGB", (640, 220), PAPER)
    draw = ImageDraw.Draw(page)
    low, high = min(c.min() for c in curves), max(c.max() for c in curves)
    for curve, color, width in zip(curves, (PALE, ACCENT, INK), (3, 3, 1), strict=True):
        across = np.linspace(20, 620, len(curve))
        down = 40 + (curve - low) / (high - low) * 160
        draw.line(list(zip(across, down, strict=True)), color, width, "curve")
    for at, (name, color) in enumerate((("detected", PALE), ("smoothed", ACCENT), ("true", INK))):
        draw.line([(20 + 120 * at, 16), (44 + 120 * at, 16)], color, 3)
        draw.text((50 + 120 * at, 10), name, INK)
    return page


def context_windows() -> Image.Image:
    """Windows over a clip of 60 frames, and how much each counts with two blendings."""
    frames, settings = 60, WindowSettings(context_frames=24, context_overlap=6)
    windows = settings.windows(frames)
    page = Image.new("RGB", (640, 300), PAPER)
    draw = ImageDraw.Draw(page)

    def across(frame: float) -> float:
        return 90 + frame * 530 / frames

    for row, window in enumerate(windows):
        top = 14 + 26 * row
        box = (across(window[0]), top, across(window[-1] + 1), top + 18)
        draw.rectangle(box, ACCENT if row % 2 else (70, 120, 180))
        draw.text((box[0] + 6, top + 4), f"{window[0]} - {window[-1]}", PAPER)
    draw.text((8, 18), "windows of 24", INK)
    top = 30 + 26 * len(windows)
    for blending in ("pyramid", "flat"):
        draw.text((8, top + 30), blending, INK)
        weights = np.zeros((len(windows), frames))
        for row, window in enumerate(windows):
            weights[row, window] = window_weights(24, blending, 6).numpy()
        weights /= weights.sum(axis=0)
        for row, share in enumerate(weights):
            line = [(across(f + 0.5), top + 70 - 60 * v) for f, v in enumerate(share) if v > 0]
            draw.line(line, ACCENT if row % 2 else (70, 120, 180), 3)
        draw.line([(across(0), top + 71), (across(frames), top + 71)], PALE, 1)
        top += 92
    return page


def face_crop() -> Image.Image:
    """Frames with the square around the face, above the crops."""
    _, frames, poses = samples()
    boxes = find_face_boxes(poses).on_canvas(frames.shape[2], frames.shape[1])
    crops = crop_faces(torch.from_numpy(frames / 255.0).float(), boxes, SIDE)
    marked = []
    for i in SHOWN_FRAMES:
        page = Image.fromarray(frames[i])
        corner = boxes.corners[i]
        ImageDraw.Draw(page).rectangle(
            [*corner.tolist(), *(corner + boxes.sides[i]).tolist()], outline=ACCENT, width=3
        )
        marked.append(np.asarray(page))
    return sheet([marked, [(crops[i].numpy() * 255).astype(np.uint8) for i in SHOWN_FRAMES]])


@cache
def animated() -> list[dict[str, Picture]]:
    """Each character, skeletons on its body, and what the built-in model makes of them."""
    characters, _, poses = samples()
    models, _ = load_models("built-in")
    profile = models.profile
    detector = load_pose_detector(*built_in_pose_networks(), "cpu")
    results = []
    for character in characters:
        reference = fit(Image.fromarray(character), profile.width, profile.height, "pad")
        own, _ = detector.detect(np.asarray(reference)[None])
        fitted = retarget_poses(poses, own).poses
        skeletons = draw_poses(fitted, profile.drawing)[:FRAMES_ANIMATED]
        settings = AnimateSettings.for_model(models, num_inference_steps=20)
        result = np.stack(list(animate(models, reference, skeletons, settings)))
        results.append(
            {"reference": np.asarray(reference)[None], "skeletons": skeletons, "result": result}
        )
    return results


def sampler() -> Image.Image:
    """The characters, then pairs of a skeleton and the frame made from it."""
    shown = [frame for frame in SHOWN_FRAMES if frame < FRAMES_ANIMATED]
    return sheet(
        [
            [clips["reference"][0], *(clips[k][i] for i in shown for k in ("skeletons", "result"))]
            for clips in animated()
        ]
    )


def compare() -> Image.Image:
    """One frame of what the node Compare makes."""
    clips = {name: clip.repeat(2, 1).repeat(2, 2) for name, clip in animated()[1].items()}
    return Image.fromarray(list(side_by_side(clips))[SHOWN_FRAMES[1]])


DRAWINGS: tuple[Callable[[], Image.Image], ...] = (
    builtin_inputs,
    encode_reference,
    detect_pose,
    retarget_pose,
    draw_pose,
    smooth_pose,
    context_windows,
    face_crop,
    sampler,
    compare,
)


def main(names: list[str]) -> None:
    """Draw them, with few colors: the files travel with every installation."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for drawing in DRAWINGS:
        if names and drawing.__name__ not in names:
            continue
        path = PICTURES / f"{drawing.__name__}.png"
        drawing().quantize(192, dither=Image.Dither.NONE).save(path, optimize=True)
        sys.stdout.write(f"{path.name}: {path.stat().st_size // 1024} KB\n")


if __name__ == "__main__":
    main(sys.argv[1:])
