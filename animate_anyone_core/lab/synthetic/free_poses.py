"""Bodies bent in ways that no dance has, for networks that must know any pose.

A network that has only seen dances takes a deep bow for a back view. Published pose networks have
seen all there is; these poses stand in for that. They belong to no kind of motion and no split.
"""

import numpy as np

from .rig import SIDES, Track

#: Channel -> lowest and highest value, for the trunk as a whole and for one limb. Where a body
#: faces stays as it is danced: that most face the viewer is worth knowing when a face is smudged.
_TRUNK = {
    "pelvis_pitch": (-0.25, 0.75),
    "pelvis_roll": (-0.25, 0.25),
    "chest_pitch": (-0.3, 0.75),
    "chest_yaw": (-0.5, 0.5),
    "chest_roll": (-0.35, 0.35),
    "head_pitch": (-0.4, 0.6),
    "head_yaw": (-0.7, 0.7),
    "head_roll": (-0.35, 0.35),
}
_ARM = {
    "arm_out": (0.0, 2.8),
    "arm_forward": (-0.4, 2.2),
    "arm_twist": (-1.0, 1.0),
    "elbow": (0.0, 2.2),
    "wrist_twist": (-0.5, 0.6),
}
_LEG = {"foot_x": (-0.06, 0.4), "foot_z": (-0.2, 0.3), "foot_turn": (-0.2, 0.7)}


def free_pose(track: Track, rng: np.random.Generator) -> Track:
    """Bend the trunk anew, and each arm and leg with a chance of a half.

    Face, fingers and all that is not bent stay.
    """
    ranges = dict(_TRUNK)
    for side in SIDES:
        for limb in (_ARM, _LEG):
            if rng.random() < 0.5:
                ranges |= {f"{side}_{name}": span for name, span in limb.items()}
    return track.with_values({name: rng.uniform(*span) for name, span in ranges.items()})
