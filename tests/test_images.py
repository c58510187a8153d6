"""Pictures: read whatever their depth, resized as published, refused in a line."""

import numpy as np
import pytest
import torch
from PIL import Image

from animate_anyone_core.checkpoints.builtin import BUILT_IN_FOLDER
from animate_anyone_core.errors import MediaError, SettingsError
from animate_anyone_core.images import (
    check_picture_size,
    check_video_size,
    fit,
    pixels_01,
    read_picture,
    stretch,
    to_rgb,
    vae_pixels,
)


@pytest.fixture
def picture():
    """No two rows, columns or channels alike."""
    rows, columns = np.mgrid[:30, :40]
    return np.stack([rows * 8, columns * 6, rows * 3 + columns * 2], -1).astype(np.uint8)


def save(path, values, **options):
    Image.fromarray(values).save(path, **options)
    return path


class TestReading:
    @pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".webp"])
    def test_rgb_comes_as_it_is(self, tmp_path, picture, suffix):
        options = {"lossless": True} if suffix == ".webp" else {}
        read = read_picture(save(tmp_path / f"a{suffix}", picture, **options))
        assert read.mode == "RGB"
        assert np.array_equal(np.asarray(read), picture)

    def test_grey_becomes_three_equal_channels(self, tmp_path, picture):
        read = np.asarray(read_picture(save(tmp_path / "a.png", picture[..., 0])))
        assert np.array_equal(read, np.repeat(picture[..., :1], 3, -1))

    def test_sixteen_bits_are_scaled(self, tmp_path, picture):
        deep = picture[..., 2].astype(np.uint16) * 257
        read = np.asarray(read_picture(save(tmp_path / "a.png", deep)))
        assert np.array_equal(read, np.repeat(picture[..., 2:], 3, -1))

    def test_a_dark_picture_of_sixteen_bits_stays_dark(self, tmp_path):
        deep = np.full((20, 20), 250, np.uint16)
        assert np.asarray(read_picture(save(tmp_path / "a.png", deep))).max() == 1

    def test_a_palette_is_looked_up(self, tmp_path, picture):
        Image.fromarray(picture).quantize(256).save(tmp_path / "a.gif")
        read = np.asarray(read_picture(tmp_path / "a.gif")).astype(int)
        assert np.abs(read - picture).mean() < 8

    @pytest.mark.parametrize(("text", "color"), [("#102030", (16, 32, 48)), ("green", (0, 128, 0))])
    def test_transparency_is_laid_on_the_color_that_is_asked_for(self, tmp_path, text, color):
        Image.new("RGBA", (20, 20), (255, 0, 0, 0)).save(tmp_path / "a.png")
        assert read_picture(tmp_path / "a.png", text).getpixel((5, 5)) == color

    @pytest.mark.parametrize(
        ("brand", "kind"), [(b"heic", "HEIC"), (b"mif1", "HEIC"), (b"avif", "AVIF")]
    )
    def test_phones_pictures_end_in_a_helpful_sentence(self, tmp_path, brand, kind):
        (tmp_path / "a.jpg").write_bytes(b"\0\0\0\x18ftyp" + brand + bytes(100))
        with pytest.raises(MediaError) as error:
            read_picture(tmp_path / "a.jpg")
        assert str(error.value) == (
            f"a.jpg is a picture of the kind {kind}, which is not read here. Save it as JPEG or PNG."
        )

    def test_transparency_is_laid_on_white(self, tmp_path, picture):
        alpha = np.full((30, 40, 1), 255, np.uint8)
        alpha[:10] = 0
        alpha[10:20] = 128
        rgba = np.concatenate([picture, alpha], -1)
        read = np.asarray(read_picture(save(tmp_path / "a.png", rgba))).astype(int)
        assert (read[:10] == 255).all()
        half = (picture[10:20] * 128.0 + 255 * 127) / 255
        assert np.abs(read[10:20] - half).max() <= 1
        assert np.array_equal(read[20:], picture[20:])

    def test_opaque_alpha_changes_nothing(self, tmp_path, picture):
        rgba = np.concatenate([picture, np.full((30, 40, 1), 255, np.uint8)], -1)
        read = np.asarray(read_picture(save(tmp_path / "a.png", rgba)))
        assert np.array_equal(read, picture)

    def test_a_transparent_palette_is_laid_on_white(self, tmp_path):
        values = np.zeros((20, 20), np.uint8)
        values[:10] = 1
        indexed = Image.fromarray(values, "P")
        indexed.putpalette([255, 0, 0, 0, 255, 0])
        indexed.save(tmp_path / "a.png", transparency=0)
        read = np.asarray(read_picture(tmp_path / "a.png"))
        assert (read[:10] == (0, 255, 0)).all()
        assert (read[10:] == 255).all()

    def test_the_cameras_note_on_its_rotation_is_followed(self, tmp_path, picture):
        """Orientation 6: the camera was turned; viewers turn the picture by 90 degrees."""
        exif = Image.Exif()
        exif[0x0112] = 6
        read = read_picture(save(tmp_path / "a.png", picture, exif=exif))
        assert np.array_equal(np.asarray(read), np.rot90(picture, -1))

    def test_a_file_may_be_named_by_text(self, tmp_path, picture):
        assert read_picture(str(save(tmp_path / "a.png", picture))).size == (40, 30)

    def test_shipped_pictures_are_read(self):
        for path in (BUILT_IN_FOLDER / "samples" / f"character_{name}.png" for name in "ab"):
            assert read_picture(path).mode == "RGB"


class TestRefusals:
    def refusal(self, path):
        with pytest.raises(MediaError) as error:
            read_picture(path)
        assert "\n" not in str(error.value)
        return str(error.value)

    def test_a_missing_file(self, tmp_path):
        assert self.refusal(tmp_path / "a.png") == f"There is no picture {tmp_path / 'a.png'}."

    @pytest.mark.parametrize("content", [b"no picture at all", b"\x89PNG\r\n\x1a\n broken"])
    def test_no_picture(self, tmp_path, content):
        (tmp_path / "a.png").write_bytes(content)
        message = self.refusal(tmp_path / "a.png")
        assert message.startswith("a.png cannot be read as a picture: ")

    def test_a_truncated_picture(self, tmp_path, picture):
        path = save(tmp_path / "a.png", np.tile(picture, (4, 4, 1)))
        path.write_bytes(path.read_bytes()[:200])
        assert self.refusal(path).startswith("a.png cannot be read as a picture: ")

    def test_a_single_pixel(self, tmp_path):
        assert self.refusal(save(tmp_path / "a.png", np.zeros((1, 1, 3), np.uint8))) == (
            "a.png is 1x1 pixels; a picture of a character needs at least 16x16."
        )

    def test_a_picture_larger_than_any_memory(self, tmp_path, picture, monkeypatch):
        path = save(tmp_path / "a.png", picture)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
        message = self.refusal(path)
        assert message.startswith("a.png is too large: ")
        assert message.endswith("Make it smaller.")

    def test_a_folder(self, tmp_path):
        assert "is a folder; only regular files are read" in self.refusal(tmp_path)


class TestSizes:
    def test_sixteen_pixels_are_the_least(self):
        check_picture_size(16, 16, "a.png")
        with pytest.raises(MediaError):
            check_picture_size(100, 15, "a.png")

    @pytest.mark.parametrize(
        ("width", "height", "nearest"),
        [(0, 64, "16x64"), (500, 333, "496x336"), (8, 8, "16x16"), (-8, 64, "16x64")],
    )
    def test_videos_have_whole_latent_cells(self, width, height, nearest):
        check_video_size(512, 784)
        with pytest.raises(SettingsError) as error:
            check_video_size(width, height)
        assert str(error.value) == (
            f"Width and height must be multiples of 8, at least 16, got {width}x{height}. The "
            f"nearest is {nearest}."
        )


class TestFit:
    def test_stretching_to_the_same_size_changes_nothing(self, picture):
        image = Image.fromarray(picture)
        assert stretch(image, 40, 30) is image

    def test_stretching_gives_exactly_the_size(self, picture):
        assert fit(Image.fromarray(picture), 17, 50).size == (17, 50)

    def test_cropping_fills_the_size_and_cuts_evenly(self):
        wide = np.zeros((20, 60, 3), np.uint8)
        wide[:, 20:40] = 200
        assert (np.asarray(fit(Image.fromarray(wide), 20, 20, "crop")) == 200).all()

    def test_padding_keeps_the_whole_picture_on_its_border_color(self):
        wide = np.full((20, 60, 3), (10, 20, 30), np.uint8)
        wide[5:15, 10:50] = 250
        padded = np.asarray(fit(Image.fromarray(wide), 60, 60, "pad"))
        assert np.array_equal(padded[20:40], wide)
        assert (padded[:20] == (10, 20, 30)).all()
        assert (padded[40:] == (10, 20, 30)).all()

    @pytest.mark.parametrize("mode", ["stretch", "crop", "pad"])
    @pytest.mark.parametrize("size", [(16, 64), (64, 16), (33, 31)])
    def test_every_mode_gives_exactly_the_size(self, picture, mode, size):
        assert fit(Image.fromarray(picture), *size, mode).size == size

    def test_an_unknown_mode_is_refused(self, picture):
        with pytest.raises(SettingsError) as error:
            fit(Image.fromarray(picture), 16, 16, "fold")
        assert str(error.value) == "Fits are stretch, crop and pad, got 'fold'."


class TestTensors:
    def test_pixels_are_channels_first_from_0_to_1(self, picture):
        tensor = pixels_01(picture[None])
        assert tensor.shape == (1, 3, 30, 40)
        assert tensor[0, 1, 7, 9].item() == pytest.approx(9 * 6 / 255)
        assert tensor.dtype == torch.float32

    def test_the_vae_sees_minus_1_to_1(self):
        black_white = np.zeros((2, 1, 3), np.uint8)
        black_white[1] = 255
        tensor = vae_pixels(Image.fromarray(black_white))
        assert tensor[0, :, 0].unique().tolist() == [-1.0]
        assert tensor[0, :, 1].unique().tolist() == [1.0]

    def test_read_only_frames_are_not_written_to(self, picture):
        picture.flags.writeable = False
        pixels_01(picture[None]).add_(1)
        assert picture[0, 0, 0] == 0


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_wide_integers_and_floats_become_eight_bits(dtype):
    values = np.array([[0, 128], [255, 64]], dtype)
    assert np.array_equal(np.asarray(to_rgb(Image.fromarray(values)))[..., 0], values)


def test_floats_up_to_one_are_fractions_of_white():
    values = np.array([[0, 0.5], [1, 0.2]], np.float32)
    expected = [[0, 128], [255, 51]]
    assert np.asarray(to_rgb(Image.fromarray(values)))[..., 0].tolist() == expected
