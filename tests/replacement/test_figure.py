"""A figure cut out as squares, and put back."""

import numpy as np
import pytest

from animate_anyone_core.errors import ShapeError
from animate_anyone_core.replacement.figure import cut_figure, square_character, whole_pictures

SIZE = 160, 120


def walking(frames=8, step=14):
    """A plain figure on black that walks to the right."""
    pictures = np.zeros((frames, SIZE[1], SIZE[0], 3), np.uint8)
    for index, picture in enumerate(pictures):
        picture[40:80, 10 + step * index : 30 + step * index] = (200, 120, 60)
    return pictures


def test_pieces_keep_a_walking_figure_large():
    """Cut as one box it fills less of its square than in pieces."""
    bodies = walking()
    pieces, whole = cut_figure(bodies, in_pieces=True), cut_figure(bodies, in_pieces=False)
    assert len(pieces.pieces) > 1 == len(whole.pieces)
    assert pieces.num_frames > whole.num_frames == len(bodies)

    def shown(cut):
        return (cut.poses(bodies, 64, 64).max(axis=-1) > 60).mean()

    assert shown(pieces) > 1.3 * shown(whole)


def test_poses_are_padded_black_and_backgrounds_white():
    bodies = walking(step=0)
    cut = cut_figure(bodies, in_pieces=False)  # 22 wide and 48 high: bars at both sides
    poses = cut.poses(bodies, 48, 48)
    background = cut.background(np.full_like(bodies, 100), 48, 48)
    assert poses.shape == background.shape == (len(bodies), 48, 48, 3)
    assert not poses[:, :, :8].any()
    assert (background[:, :, :8] == 255).all()
    assert (background[:, 20, 24] == 100).all()


def test_what_is_put_back_unchanged_changes_next_to_nothing():
    yy, xx = np.mgrid[: SIZE[1], : SIZE[0]]
    clip = np.repeat(np.stack([xx, yy, xx], axis=-1).astype(np.uint8)[None], 8, axis=0)
    cut = cut_figure(walking(), in_pieces=True)
    result = cut.paste(cut.background(clip, 64, 64), clip)
    assert result.shape == clip.shape
    assert np.abs(result.astype(int) - clip).mean() < 1


def test_whole_pictures_are_put_back_whole():
    clip = walking()
    cut = whole_pictures(len(clip), SIZE)
    made = cut.poses(255 - clip, 160, 160)
    result = cut.paste(made, clip)
    assert np.abs(result.astype(int) - (255 - clip)).max() <= 1


def test_a_clip_without_a_figure_is_not_cut():
    empty = np.zeros((5, *SIZE[::-1], 3), np.uint8)
    for in_pieces in (True, False):
        assert cut_figure(empty, in_pieces=in_pieces).poses(empty, 32, 32).shape == (5, 32, 32, 3)


def test_a_character_is_cut_to_its_height():
    picture = np.full((200, 150, 3), 255, np.uint8)
    picture[30:170, 40:90] = 9
    alpha = np.where(picture[..., 0] == 9, 255, 0).astype(np.uint8)
    square = np.asarray(square_character(picture, alpha))
    assert square.shape == (160, 160, 3)  # 140 rows and 7 more at both ends
    assert (square == 9).all(axis=-1).sum() == 140 * 50
    with pytest.raises(ShapeError, match="The character's mask is empty"):
        square_character(picture, np.zeros_like(alpha))


def test_videos_and_frames_must_fit():
    cut = cut_figure(walking(), in_pieces=True)
    with pytest.raises(ShapeError, match=r"cut out of 160x120, this video is 30x20"):
        cut.background(np.zeros((8, 20, 30, 3), np.uint8), 32, 32)
    with pytest.raises(ShapeError, match=r"frames were cut out, but 3 came back"):
        cut.paste(np.zeros((3, 32, 32, 3), np.uint8), walking())
