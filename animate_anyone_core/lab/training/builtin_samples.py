"""Draw the sample inputs that ship with the package: dancers that no training sees."""

from pathlib import Path

import numpy as np

from ...images import write_picture
from ...pose.openpose_json import save_poses
from ...pose.skeleton import PoseSequence
from ...progress import OnStep, silent
from ...video import write_video
from ..synthetic.dancers import reference_frame, render_clip
from ..synthetic.splits import split_seeds

_SIZE = 256
_FPS = 12.0
#: Places in the test split: characters of other builds than the driver.
CHARACTERS = {"a": 18, "b": 20}
DRIVER, MOTION, NUM_FRAMES = 16, 6, 48


def run_recipe(output: Path, on_step: OnStep = silent) -> None:
    """Write pictures of two characters, a driving video and its exact poses to `output`/samples."""
    folder = output / "samples"
    seeds, motions = split_seeds("test", "character"), split_seeds("test", "motion")
    for name, place in CHARACTERS.items():
        picture = reference_frame(seeds[place], _SIZE, _SIZE).frames[0]
        write_picture(picture, folder / f"character_{name}.png", optimize=True)
    clip = render_clip(seeds[DRIVER], motions[MOTION], NUM_FRAMES, _SIZE, _SIZE, fps=_FPS)
    write_video(folder / "driving.mp4", clip.frames, _FPS)
    save_poses(rounded(clip.poses), folder / "driving.json")
    on_step(1, 1)


def rounded(poses: PoseSequence) -> PoseSequence:
    """Round to hundredths of a pixel, which makes the file four times smaller."""
    points, scores = np.round(poses.points, 2), np.round(poses.scores, 3)
    return PoseSequence(points, scores, poses.width, poses.height, poses.fps)
