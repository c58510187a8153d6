"""Do sizes, shapes and numbers of frames go together."""

from collections.abc import Iterator

import numpy as np

from .planned_run import Finding, PlannedRun, by

#: Shapes that differ by more are cut or distorted visibly.
LARGEST_STRETCH = 1.05
#: A picture enlarged by more looks soft.
LARGEST_ENLARGEMENT = 1.5


def _shape_differs(a: tuple[int, int], b: tuple[int, int], most: float = LARGEST_STRETCH) -> bool:
    return abs(np.log((a[0] / a[1]) / (b[0] / b[1]))) > np.log(most)


def check_sizes(run: PlannedRun) -> Iterator[Finding]:
    """Whether pictures and skeletons have the size and shape of the video."""
    video, poses, picture = run.reference_size, run.pose_size, run.picture_size
    if video and poses and video != poses:
        yield Finding(
            "size",
            f"The reference was encoded at {by(video)}, the poses at {by(poses)}. Wire the "
            'reference into "Encode Pose", which then takes its size.',
            fails=True,
        )
    drawn = None if run.skeletons is None else (run.skeletons.shape[2], run.skeletons.shape[1])
    if drawn and not video and (drawn[0] % 8 or drawn[1] % 8):
        yield Finding(
            "size",
            f"The skeleton pictures are {by(drawn)}: sides must be multiples of 8.",
            fails=True,
        )
    canvas = None if run.driver is None else (run.driver.width, run.driver.height)
    shapes = {"skeleton pictures": drawn, "poses' canvas": canvas}
    for name, size in shapes.items():
        if video and size and _shape_differs(size, video):
            yield Finding(
                "shape",
                f"The {name} are {by(size)}, the video is {by(video)}: bodies would be "
                'stretched. Draw the poses at the video\'s size, or use "Retarget Pose".',
            )
            break
    if picture and video:
        if _shape_differs(picture, video, LARGEST_STRETCH**2):
            yield Finding(
                "shape",
                f"The character's picture is {by(picture)}, the video {by(video)}: it is cut, "
                "padded or stretched. Choose a size of the picture's shape.",
            )
        enlarged = max(video[0] / picture[0], video[1] / picture[1])
        if enlarged > LARGEST_ENLARGEMENT:
            yield Finding(
                "picture",
                f"The character's picture is {by(picture)} and is enlarged {enlarged:.1f} "
                "times: the result will be soft. Use a larger picture.",
            )


def check_frames(run: PlannedRun) -> Iterator[Finding]:
    """Whether there is one pose a frame."""
    counts = {
        "encoded poses": run.num_poses,
        "POSE_KEYPOINT frames": None if run.driver is None else run.driver.num_frames,
        "skeleton pictures": None if run.skeletons is None else len(run.skeletons),
    }
    given = {name: count for name, count in counts.items() if count is not None}
    if run.num_frames is not None and given:
        name, count = next(iter(given.items()))
        if count != run.num_frames:
            yield Finding(
                "frames",
                f"The clip to start from has {run.num_frames} frames, but there are {count} "
                f"{name}. Both must be equal: cut or repeat one of them.",
                fails=True,
            )
    if len(set(given.values())) > 1:
        named = ", ".join(f"{count} {name}" for name, count in given.items())
        yield Finding("frames", f"These should be equally many, one a frame: {named}.")
