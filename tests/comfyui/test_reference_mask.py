"""A transparent reference in *Encode Reference*: the mask of *Load Image*, laid on a color."""

import pytest

PRELUDE = """
import importlib, torch
module = importlib.import_module(pack.__name__ + ".nodes.encode_reference")
image = torch.zeros(2, 32, 48, 3)
image[0, :, :24] = torch.tensor([1.0, 0.5, 0.25])
image[0, :, 24:] = torch.tensor([0.0, 0.0, 0.1])
mask = torch.zeros(1, 32, 48)
mask[..., 24:] = 1
"""


def test_what_the_mask_hides_becomes_the_color_and_the_rest_stays(in_comfyui):
    """All, nothing and half of it hidden; a mask of another size; numbers by hand."""
    seen = in_comfyui(
        PRELUDE
        + """
def at(mask, background="#003300"):
    laid = module.laid_on(image, mask, background)
    assert laid.shape == (1, 32, 48, 3)
    return [laid[0, 16, x].tolist() for x in (8, 40)]
small = torch.zeros(64, 64)
small[:, 32:] = 1
result = {
    "right": at(mask), "none": at(mask * 0), "all": at(mask * 0 + 1), "half": at(mask * 0 + 0.5),
    "small": at(small), "white": at(mask, "white"),
    "fitted": module.fitted_picture(module.laid_on(image, mask, "white"), 48, 32, "crop")
              .getpixel((40, 16)),
}
"""
    )
    left, right, green = [1.0, 0.5, 0.25], [0.0, 0.0, 0.1], [0.0, 0.2, 0.0]
    assert seen["right"] == [pytest.approx(left), pytest.approx(green)]
    assert seen["none"] == [pytest.approx(left), pytest.approx(right)]
    assert seen["all"] == [pytest.approx(green)] * 2
    assert seen["half"] == [pytest.approx([0.5, 0.35, 0.125]), pytest.approx([0, 0.1, 0.05])]
    assert seen["small"] == [pytest.approx(left), pytest.approx(green)]
    assert seen["white"] == [pytest.approx(left), pytest.approx([1, 1, 1])]
    assert seen["fitted"] == [255, 255, 255]


def test_bad_masks_and_colors_are_refused(in_comfyui):
    said = in_comfyui(
        PRELUDE
        + """
def said(call):
    try:
        call()
    except Exception as error:
        return type(error).__name__ + ": " + str(error)
check = module.EncodeReference.validate_inputs
result = [
    said(lambda: module.laid_on(image, torch.zeros(0, 8, 8), "white")),
    said(lambda: module.laid_on(image, mask, "greenish")),
    said(lambda: check(width=64, height=64, background="greenish")),
    check(width=64, height=64, background="#00ff00"),
    check(width=64, height=64),
]
"""
    )
    color = "'greenish' is no color. Give a name such as white or green, or #RRGGBB."
    assert said == [
        "ShapeError: The mask must be (batch, height, width), got (0, 8, 8).",
        f"SettingsError: {color}",
        f"SettingsError: {color}",
        True,
        True,
    ]
