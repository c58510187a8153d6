"""Pictures: reading them whatever their depth, resizing them as the published pipelines do.

Convention: pictures are RGB, uint8 (H, W, 3) or PIL; tensors are (…, 3, H, W).
"""

import logging
import re
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageOps, UnidentifiedImageError
from torch import Tensor

from .borders import limits
from .borders.files import check_file
from .errors import MediaError, SettingsError
from .files import check_download, check_writable, whole_file
from .pixels import pixels_01, signed_from_unit

logger = logging.getLogger("animate_anyone")

SMALLEST_SIDE = 16
#: Endings by which pictures are found in folders.
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
# "Brands" by which such files begin (ISO 23008-12).
_PHONE_PICTURES = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}


def read_picture(path: Path | str, background: str = "white") -> Image.Image:
    """Read a picture as 8-bit RGB.

    16-bit pictures are scaled to 8 bits. A camera's note on how it was held is followed, as picture
    viewers do.

    Args:
        path: A file that Pillow reads.
        background: What transparent pictures are laid on: a color's name, or #RRGGBB.

    Raises:
        SettingsError: If there is no such color.
        MediaError: If the file is missing, is no picture, is smaller than 16 pixels a side, or
            larger than `borders.limits` allows.
    """
    path = Path(path)
    color = parse_color(background)
    check_file(path, MediaError, f"There is no picture {path}.")
    _check_kind(path, check_download(path, "picture", MediaError))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is wrong is said below
        try:
            with Image.open(path, formats=limits.PICTURE_FORMATS) as file:
                check_picture_size(file.width, file.height, path.name)
                turned = ImageOps.exif_transpose(file)
                if file.format == "PNG" and turned.mode == "I":  # what Pillow 10 makes of 16 bits
                    turned = turned.convert("I;16")
                picture = to_rgb(turned, color)
        except MediaError:
            raise
        except UnidentifiedImageError as error:
            raise MediaError(
                f"{path.name} cannot be read as a picture: it is none of "
                f"{', '.join(limits.PICTURE_FORMATS)}. Save it as PNG."
            ) from error
        except Image.DecompressionBombError as error:
            raise MediaError(f"{path.name} is too large: {error} Make it smaller.") from error
        except Exception as error:  # damage makes decoders fail in any way
            reason = " ".join(str(error).split()) or type(error).__name__
            raise MediaError(f"{path.name} cannot be read as a picture: {reason}.") from error
    return picture


def parse_color(text: str) -> tuple[int, int, int]:
    """The color of a name or of #RRGGBB.

    Raises:
        SettingsError: If there is none.
    """
    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
    except ValueError:
        raise SettingsError(
            f"{text!r} is no color. Give a name such as white or green, or #RRGGBB."
        ) from None
    return red, green, blue


def _check_kind(path: Path, head: bytes) -> None:
    """Refuse phones' pictures, which Pillow reads only with programs that are not always there."""
    if head[4:8] == b"ftyp" and head[8:12] in _PHONE_PICTURES:
        raise MediaError(
            f"{path.name} is a picture of the kind {_PHONE_PICTURES[head[8:12]]}, which is not read "
            "here. Save it as JPEG or PNG."
        )


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder, in the order of the numbers in their names."""
    pictures = (p for p in folder.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES)
    return sorted(pictures, key=lambda p: ([int(n) for n in re.findall(r"\d+", p.stem)], p.name))


def write_picture(
    picture: np.ndarray | Image.Image, path: Path | str, optimize: bool = False
) -> None:
    """Write a whole picture, (H, W, 3) uint8 or PIL, in the format that the name tells.

    Args:
        picture: What to write.
        path: Where; missing folders are made.
        optimize: Take longer for a smaller file.

    Raises:
        MediaError: If the name ends in no picture's ending, or the file cannot be written.
    """
    _check_name(Path(path))
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    with whole_file(path) as part:
        picture.save(part, optimize=optimize)


def check_picture_output(path: Path) -> None:
    """Tell before long work whether `write_picture` can write here; raises MediaError if not."""
    _check_name(path)
    check_writable(path)


def _check_name(path: Path) -> None:
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        raise MediaError(
            f"Pictures are written as {', '.join(PICTURE_SUFFIXES)}, got the name {path.name}."
        )


def to_rgb(picture: Image.Image, background: tuple[int, int, int] = (255, 255, 255)) -> Image.Image:
    """Convert any PIL picture to 8-bit RGB; see `read_picture`."""
    if picture.mode.startswith(("I", "F")):
        values = np.asarray(picture)
        if not np.isfinite(values.sum(dtype=np.float64)):
            raise MediaError("The picture holds NaN or infinite numbers. Save it as PNG.")
        top = _white(picture.mode, values.max(initial=0))
        grey = np.empty(values.shape, np.uint8)
        for row, line in zip(grey, values, strict=True):  # doubles of one line at a time
            row[:] = (line.astype(np.float64).clip(0, top) * (255.0 / top)).round()
        return Image.fromarray(grey).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        if np.asarray(rgba.getchannel("A")).min() < 255:
            name = "white" if background == (255, 255, 255) else "#" + bytes(background).hex()
            logger.info("The picture has transparent parts: laid on %s.", name)
            plain = Image.new("RGBA", rgba.size, (*background, 255))
            rgba = Image.alpha_composite(plain, rgba)
        return rgba.convert("RGB")
    return picture.convert("RGB")


def _white(mode: str, largest: float) -> float:
    """The value of white, which wide integers and floats do not tell but by their largest."""
    if mode == "F" and largest <= 1:
        return 1.0
    return 65535.0 if mode.startswith("I;16") or largest > 255 else 255.0


def check_picture_size(width: int, height: int, name: str) -> None:
    """Raise MediaError if a picture is too small to show anyone, or too large to be decoded."""
    if width * height > limits.PICTURE_PIXELS or max(width, height) > limits.PICTURE_SIDE:
        raise MediaError(
            f"{name} is too large: {width}x{height} pixels; at most {limits.PICTURE_PIXELS} "
            f"pixels, {limits.PICTURE_SIDE} a side, are read. Make it smaller."
        )
    if min(width, height) < SMALLEST_SIDE:
        raise MediaError(
            f"{name} is {width}x{height} pixels; a picture of a character needs at least "
            f"{SMALLEST_SIDE}x{SMALLEST_SIDE}."
        )


def check_video_size(width: int, height: int) -> None:
    """Raise SettingsError unless both sides are positive multiples of 8 (one latent cell)."""
    if width < SMALLEST_SIDE or height < SMALLEST_SIDE or width % 8 or height % 8:
        nearest = [max(SMALLEST_SIDE, round(side / 8) * 8) for side in (width, height)]
        raise SettingsError(
            f"Width and height must be multiples of 8, at least {SMALLEST_SIDE}, got "
            f"{width}x{height}. The nearest is {nearest[0]}x{nearest[1]}."
        )


def stretch(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Resize to exactly this size (Lanczos), aspect ratio not kept: as published."""
    if picture.size == (width, height):
        return picture
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def fit(picture: Image.Image, width: int, height: int, mode: str = "stretch") -> Image.Image:
    """Bring a picture to a size.

    Args:
        picture: RGB.
        width: Target width.
        height: Target height.
        mode: "stretch" (aspect ratio not kept, as published), "crop" (fill the size, cut the
            rest evenly) or "pad" (whole picture on its own mean border color).

    Raises:
        SettingsError: If the mode is unknown.
    """
    if mode == "stretch":
        return stretch(picture, width, height)
    ratios = (width / picture.width, height / picture.height)
    if mode == "crop":
        scale = max(ratios)
    elif mode == "pad":
        scale = min(ratios)
    else:
        raise SettingsError(f"Fits are stretch, crop and pad, got {mode!r}.")
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    resized = stretch(picture, *size)
    pixels = np.asarray(picture, dtype=np.float64)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).mean(axis=0)
    r, g, b = (int(value) for value in border.round())
    canvas = Image.new("RGB", (width, height), (r, g, b))
    canvas.paste(resized, ((width - size[0]) // 2, (height - size[1]) // 2))
    return canvas


def fit_clip(frames: np.ndarray, width: int, height: int, mode: str = "stretch") -> np.ndarray:
    """As `fit`, for all frames of a clip (F, H, W, 3) uint8."""
    if frames.shape[1:3] == (height, width):
        return frames
    fitted = [fit(Image.fromarray(frame), width, height, mode) for frame in frames]
    return np.stack([np.asarray(frame) for frame in fitted])


def vae_pixels(picture: Image.Image) -> Tensor:
    """Prepare a picture for the VAE: (1, 3, H, W) in [-1, 1]."""
    return signed_from_unit(pixels_01(np.asarray(picture)[None]))
