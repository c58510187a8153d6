"""People painted as in photographs: the same ones in every pose, where the keypoints say."""

import numpy as np

from animate_anyone_core.lab.synthetic.motions import motion_from_seed, standing
from animate_anyone_core.lab.synthetic.painted_people import PaintedPerson
from animate_anyone_core.pose.skeleton import JOINT_NAMES


def moments(count):
    return [(standing(), 0.0)] + [(motion_from_seed(seed), 0.7) for seed in range(count - 1)]


def test_a_picture_does_not_depend_on_those_beside_it():
    person = PaintedPerson(4, 64, 96)
    together = person.render_moments(moments(3))
    assert together.frames.shape == (3, 96, 64, 3)
    alone = PaintedPerson(4, 64, 96).render_moments(moments(3)[2:])
    assert (alone.frames[0] == together.frames[2]).all()
    assert (PaintedPerson(5, 64, 96).render_moments(moments(1)).frames != together.frames[:1]).any()


def test_joints_lie_on_the_person():
    for seed in range(3):
        clip = PaintedPerson(seed, 128, 128).render_moments(moments(4))
        for points, mask in zip(clip.poses.points[:, 0], clip.masks, strict=True):
            x, y = points[: len(JOINT_NAMES)].astype(int).clip(0, 127).T
            assert (mask[y, x] > 127).mean() > 0.8
            assert 0.03 < (mask > 127).mean() < 0.4


def test_the_background_stays_while_the_person_moves():
    clip = PaintedPerson(2, 128, 128).render_moments(moments(3))
    far = (clip.masks.max(axis=0) == 0)[:, :24]
    assert far.sum() > 500
    left = clip.frames[:, :, :24][:, far].astype(int)
    assert np.abs(left - left[0]).max() <= 40, "but for JPEG's"
    assert (clip.masks[0] != clip.masks[1]).any()
