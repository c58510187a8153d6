"""Clips in pieces, and pieces back into clips."""

import itertools

import numpy as np
import pytest
from PIL import Image

from animate_anyone_core.errors import ShapeError
from animate_anyone_core.replacement.mimo_boxes import (
    character_box,
    clean_mask,
    figure_boxes,
    figure_mask,
)
from animate_anyone_core.replacement.paste import feather_mask, paste_pieces, touched_sides
from animate_anyone_core.replacement.pieces import Piece, split_clip, whole_clip_box
from animate_anyone_core.replacement.squares import grow_to_square, pad_to_square, square_padding

SIZE = 160, 120


def walking(frames=12, step=8):
    return np.array([[10 + step * i, 40, 30 + step * i, 80] for i in range(frames)])


@pytest.mark.parametrize(("width", "height"), [(5, 33), (48, 47), (16, 16), (1, 1), (250, 249)])
def test_squares_are_centred_and_multiples_of_16(width, height):
    padding = square_padding(width, height)
    side = height + padding.top + padding.bottom
    assert side == width + padding.left + padding.right
    assert side % 16 == 0
    assert side - max(width, height) < 16
    assert 0 <= padding.bottom - padding.top <= 1
    assert 0 <= padding.right - padding.left <= 1
    picture = np.arange(height * width * 3, dtype=np.uint8).reshape(1, height, width, 3)
    padded = pad_to_square(picture, 7)
    inner = padded[:, padding.top : padding.top + height, padding.left : padding.left + width]
    assert np.array_equal(inner, picture)
    assert padded.sum() == picture.sum() + 7 * 3 * (side * side - width * height)


def test_a_box_grows_as_far_as_there_is_room():
    assert grow_to_square(np.array([50, 40, 70, 80]), *SIZE).tolist() == [36, 36, 84, 84]
    assert grow_to_square(np.array([0, 0, 20, 120]), *SIZE).tolist() == [0, 0, 74, 120]


def test_every_frame_is_in_a_piece_whose_box_holds_its_figure():
    boxes = walking()
    pieces = split_clip(boxes, SIZE)
    assert len(pieces) > 1
    own = [number for piece in pieces for number in piece.frames[piece.overlap :]]
    assert own == list(range(len(boxes)))
    for piece in pieces:
        x0, y0, x1, y1 = piece.box
        for number in piece.frames[piece.overlap :]:
            assert x0 <= boxes[number, 0] < boxes[number, 2] <= x1
            assert y0 <= boxes[number, 1] < boxes[number, 3] <= y1
    for before, after in itertools.pairwise(pieces):
        assert after.frames[: after.overlap] == before.frames[-after.overlap :]


def test_a_frame_without_a_figure_drags_no_box_along():
    boxes = walking(10, step=0)
    boxes[4] = 0
    (piece,) = split_clip(boxes, SIZE)
    assert piece.box == (0, 36, 44, 84)
    published = split_clip(boxes, SIZE, leave_out=False)
    assert any(other.box[1] == 0 for other in published)


def test_a_clip_without_any_figure_is_one_piece_of_nearly_the_whole_picture():
    (piece,) = split_clip(np.zeros((4, 4), int), SIZE)
    assert piece.pixels(*SIZE) == (0, 0, 159, 119)
    assert piece.cut(np.zeros((4, 120, 160, 3))).shape == (4, 119, 159, 3)


def test_one_box_around_a_whole_clip_is_even():
    boxes = np.array([[11, 10, 30, 41], [12, 9, 40, 30]])
    assert whole_clip_box(boxes, SIZE) == (11, 9, 41, 41)


def test_figures_are_found_and_their_boxes_grown():
    pose = np.zeros((2, 120, 160, 3), np.uint8)
    pose[0, 40:80, 50:90] = (200, 120, 60)
    pose[0, 5, 5] = 255  # a speck
    masks = clean_mask(figure_mask(pose))
    assert not masks[0, :20, :20].any()
    assert figure_boxes(masks).tolist() == [[49, 37, 93, 85], [0, 0, 0, 0]]


def test_the_character_grows_up_and_down_only():
    alpha = np.zeros((200, 150), np.uint8)
    alpha[30:170, 40:90] = 200
    assert character_box(alpha).tolist() == [40, 23, 90, 177]


@pytest.mark.parametrize(
    ("box", "sides"),
    [
        ((0, 0, 160, 120), ("up", "down", "left", "right")),
        ((0, 5, 80, 120), ("down", "left")),
        ((3, 3, 157, 117), ()),
    ],
)
def test_feathering_leaves_the_pictures_own_borders(box, sides):
    assert touched_sides(box, *SIZE) == sides
    mask = feather_mask(sides, 64)
    ends = {"up": mask[0, 32], "down": mask[-1, 32], "left": mask[32, 0], "right": mask[32, -1]}
    for side, value in ends.items():
        assert (value == 1) if side in sides else (value < 0.1), side
    assert mask[32, 32] == 1


def test_what_was_cut_comes_back_where_it_was():
    """Pasting the cut pictures themselves changes nothing but by the resizing there and back."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (6, 15, 20, 3)).astype(np.uint8)
    clip = np.stack([np.asarray(Image.fromarray(f).resize(SIZE, Image.BICUBIC)) for f in small])
    pieces = split_clip(walking(6, step=14), SIZE)
    made = [pad_to_square(piece.cut(clip), 255) for piece in pieces]
    result = paste_pieces(made, pieces, clip)
    assert np.abs(result.astype(int) - clip).max() <= 2


def test_pieces_fade_into_each_other():
    background = np.zeros((4, 120, 160, 3), np.uint8)
    pieces = [Piece((0, 1, 2), (0, 0, 160, 120)), Piece((1, 2, 3), (0, 0, 160, 120), 2)]
    made = [np.full((3, 160, 160, 3), 100, np.uint8), np.full((3, 160, 160, 3), 200, np.uint8)]
    result = paste_pieces(made, pieces, background)
    assert result[:, 60, 80, 0].tolist() == [100, 120, 140, 200]


def test_what_lies_in_front_is_the_videos_own():
    background = np.zeros((1, 120, 160, 3), np.uint8)
    original, front = background + 50, background.copy()
    front[:, :, :80, 0] = 255
    front[:, :, 80:, 1] = 255  # only the red counts
    whole = Piece((0,), (0, 0, 160, 120))
    made = [np.full((1, 160, 160, 3), 200, np.uint8)]
    result = paste_pieces(made, [whole], background, None, front, original)
    assert result[0, 60, [40, 120], 0].tolist() == [50, 200]


def test_a_frame_that_was_not_made_is_told():
    with pytest.raises(ShapeError, match="Piece 0 has 1 frames, but 2 were made"):
        paste_pieces(
            [np.zeros((2, 16, 16, 3), np.uint8)],
            [Piece((0,), (0, 0, 16, 16))],
            np.zeros((1, 16, 16, 3), np.uint8),
        )
