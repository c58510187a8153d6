"""Cutting, padding and pasting against MIMO's published programs: pictures are equal."""

import json
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from animate_anyone_core.replacement.mimo_boxes import (
    character_box,
    clean_mask,
    figure_boxes,
    figure_mask,
    on_white,
)
from animate_anyone_core.replacement.paste import SIDES, paste_pieces, touched_sides
from animate_anyone_core.replacement.pieces import split_clip, whole_clip_box
from animate_anyone_core.replacement.squares import pad_to_square, square_padding

COLOR = (200, 120, 60)  # of the persons in the made-up clips


@pytest.fixture(scope="module")
def facts(parity):
    path = parity.folder / "processing.json"
    if not path.is_file():
        pytest.skip("this fixture has no processing.json")
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def arrays(parity, facts):
    return np.load(parity.folder / "processing.npz")


def as_published(box):
    x0, y0, x1, y1 = box
    return [x0, x1, y0, y1]


def clip_of(entry):
    people = entry["person_x0y0x1y1"]
    frames = np.zeros((len(people), entry["h"], entry["w"], 3), np.uint8)
    for frame, person in zip(frames, people, strict=True):
        if person:
            x0, y0, x1, y1 = person
            frame[y0:y1, x0:x1] = COLOR
    return frames


def test_padding_to_squares(facts):
    for case in facts["pad_to_square"]:
        padding = square_padding(case["w"], case["h"])
        assert list(padding) == case["top_bottom_left_right"]
        assert pad_to_square(np.zeros((1, case["h"], case["w"], 3)), 0).shape[1] == case["size"]


def test_the_character_is_cut_out(facts):
    for case in facts["reference_crop"]:
        alpha = np.zeros((case["h"], case["w"]), np.uint8)
        x0, y0, x1, y1 = case["alpha_above_zero_x0y0x1y1"]
        alpha[y0:y1, x0:x1] = 1
        assert character_box(alpha).tolist() == case["kept_x0y0x1y1"]


def test_the_character_is_prepared(arrays):
    alpha = arrays["reference/matting_alpha_u8"]
    white = on_white(arrays["reference/matting_rgb_u8"], alpha)
    assert np.array_equal(white, arrays["reference/on_white_u8"])
    x0, y0, x1, y1 = character_box(alpha)
    cropped = white[y0:y1, x0:x1]
    assert np.array_equal(cropped, arrays["reference/cropped_u8"])
    assert np.array_equal(pad_to_square(cropped[None], 255)[0], arrays["reference/prepared_u8"])


def test_masks_of_figures(arrays):
    mask = figure_mask(arrays["mask/pose_u8"][None])
    assert np.array_equal(mask[0], arrays["mask/extracted_u8"] > 0)
    cleaned = clean_mask(mask)
    assert np.array_equal(cleaned[0], arrays["mask/cleaned_u8"] > 0)
    for masks, name in ((mask, "extracted"), (cleaned, "cleaned")):
        box = figure_boxes(masks)[0]
        assert as_published(box) == arrays[f"mask/box_of_{name}_x0x1y0y1"].tolist()


def test_clips_are_split(facts):
    for entry in facts["clips"]:
        boxes = figure_boxes(clean_mask(figure_mask(clip_of(entry))))
        size = entry["w"], entry["h"]
        pieces = split_clip(boxes, size, overlap=entry["overlay"], leave_out=False)
        assert [list(piece.frames) for piece in pieces] == entry["clips_frames"], entry["name"]
        assert [as_published(p.box) for p in pieces] == entry["clips_box_x0x1y0y1"], entry["name"]
        cut = [as_published(piece.pixels(*size)) for piece in pieces]
        assert cut == entry["pixels_cut_x0x1y0y1"], entry["name"]


def test_one_box_for_a_whole_clip(facts):
    clips = {entry["name"]: entry for entry in facts["clips"]}
    for entry in facts["whole_clip_box"]:
        clip = clips[entry["name"]]
        box = whole_clip_box(figure_boxes(figure_mask(clip_of(clip))), (clip["w"], clip["h"]))
        x0, y0, x1, y1 = box
        if x1 > x0 and y1 > y0:
            assert as_published(box) == entry["pixels_cut_x0x1y0y1"], entry["name"]


def mode_of(facts, box, width, height):
    """The name of the published mask: the first whose sides all touch."""
    sides = set(touched_sides(box, width, height))
    known = [set(mode.split("_")) & set(SIDES) for mode in facts["feather_modes"]]
    return next(
        index
        for index, (mode, needs) in enumerate(zip(facts["feather_modes"], known, strict=True))
        if needs <= sides and (needs or mode == "inner")
    )


def test_feathering_knows_the_sides(facts):
    for case in facts["feather_mode_of"]:
        x0, x1, y0, y1 = case["box_x0x1y0y1"]
        assert mode_of(facts, (x0, y0, x1, y1), case["w"], case["h"]) == case["index"], case


@pytest.mark.parametrize("with_occlusion", [False, True])
def test_an_edited_clip(facts, arrays, with_occlusion):
    """From pose pictures to pieces, and from what was made of them to the finished frames."""
    edit = facts["edit"]
    used = slice(*edit["frames_used"])
    pose, background = arrays["edit/pose_u8"][used], arrays["edit/background_u8"][used]
    height, width = pose.shape[1:3]
    boxes = figure_boxes(clean_mask(figure_mask(pose)))
    pieces = split_clip(boxes, (width, height), overlap=edit["overlay"], leave_out=False)
    assert [as_published(piece.box) for piece in pieces] == edit["clips_box_x0x1y0y1"]
    for number, piece in enumerate(pieces):
        for name, clip, value in (("pose", pose, 0), ("background", background, 255)):
            given = pad_to_square(piece.cut(clip), value)
            assert np.array_equal(given, arrays[f"edit/clip{number}_{name}_u8"])
    generated = arrays["edit/generated"].astype(np.float32).transpose(1, 2, 3, 0)
    generated = (generated * 255).astype(np.uint8)
    starts = np.cumsum([0, *(len(piece.frames) for piece in pieces)])
    masks = arrays["edit/feather_masks_u8"].astype(np.float32) / 255
    result = paste_pieces(
        [generated[a:b] for a, b in pairwise(starts)],
        pieces,
        background,
        [masks[mode_of(facts, piece.box, width, height)] for piece in pieces],
        arrays["edit/occlusion_u8"][used] if with_occlusion else None,
        arrays["edit/video_u8"][used],
        overlap=edit["overlay"],
    )
    name = "edit/result_with_occlusion_u8" if with_occlusion else "edit/result_u8"
    assert np.array_equal(result, arrays[name])


def test_an_animated_clip(arrays):
    """The whole clip cut by one box and padded with black."""
    prepared = arrays["animate/prepared_pose_u8"]
    pose = arrays["edit/pose_u8"]
    boxes = figure_boxes(figure_mask(pose))
    x0, y0, x1, y1 = whole_clip_box(boxes, (pose.shape[2], pose.shape[1]))
    assert np.array_equal(pad_to_square(pose[:, y0:y1, x0:x1], 0), prepared)
    result = Image.fromarray(prepared[0])
    assert result.size[0] == result.size[1]
