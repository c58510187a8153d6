"""Cutting out: against composites whose transparency is known."""

import numpy as np
import pytest

from animate_anyone_core.cutout import cut_out, cut_out_clip, find_backdrop
from animate_anyone_core.errors import MediaError, SettingsError, ShapeError
from animate_anyone_core.lab.synthetic.dancers import render_clip
from animate_anyone_core.lab.synthetic.splits import split_seeds
from animate_anyone_core.pose.drawing import draw_poses
from animate_anyone_core.video import read_video, write_video

GREEN, GRAY, WHITE = (40, 200, 60), (128, 128, 128), (255, 255, 255)


def over(colors, alpha, backdrop):
    """Lay (H, W, 3) with alpha (H, W) in [0, 1] on a color."""
    share = alpha[..., None]
    return np.rint(colors * share + np.asarray(backdrop) * (1 - share)).astype(np.uint8)


@pytest.fixture(scope="module", params=[3, 11])
def dancer(request):
    who = split_seeds("test", "character")[request.param]
    clip = render_clip(who, split_seeds("test", "motion")[request.param], 3, 128, 192)
    colors = np.stack([spread(*given) for given in zip(clip.frames, clip.masks, strict=True)])
    return colors.astype(float), clip.masks / 255, clip.poses


def spread(frame, mask):
    """The colors inside, spread over the rim, where the scene's own background is mixed in."""
    import cv2

    _, nearest = cv2.distanceTransformWithLabels(
        (mask < 255).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros((nearest.max() + 1, 3), np.uint8)
    table[nearest[mask == 255]] = frame[mask == 255]
    return table[nearest]


@pytest.mark.parametrize(("color", "lost"), [(GREEN, 0.002), (WHITE, 0.004), (GRAY, 0.05)])
def test_a_dancer_is_cut_out_of_a_backdrop_with_a_little_noise(dancer, color, lost):
    """Skin and outlines are mixtures with gray; no one can tell."""
    colors, masks, poses = dancer
    noise = np.random.default_rng(0).normal(0, 1.5, colors.shape)
    frames = np.stack([over(*given, color) for given in zip(colors, masks, strict=True)])
    frames = np.clip(frames + noise, 0, 255).astype(np.uint8)
    drawn = np.stack(list(draw_poses(poses)))
    for rgba, mask, truth in zip(cut_out_clip(frames, drawn), masks, colors, strict=True):
        alpha = rgba[..., 3] / 255
        inside, outside = mask > 0.99, mask < 0.01
        assert (alpha[outside] > 0.1).mean() < 0.002
        near = np.abs(truth - color).max(axis=2) < 40  # soft shadows in the backdrop's color
        assert (alpha[inside & ~near] < 0.9).mean() < lost
        union = (alpha > 0.5) | (mask > 0.5)
        assert ((alpha > 0.5) & (mask > 0.5)).sum() > 0.93 * union.sum()


def test_laid_back_on_its_backdrop_it_is_the_frame(dancer):
    colors, masks, _ = dancer
    frame = over(colors[0], masks[0], GREEN)
    rgba = cut_out(frame, find_backdrop(frame))
    again = over(rgba[..., :3], rgba[..., 3] / 255, GREEN)
    assert np.abs(again.astype(int) - frame).max() <= 12  # what mixtures may be off their line
    assert np.abs(again.astype(int) - frame).mean() < 0.1


def test_on_another_color_no_rim_of_the_old_one_is_left(dancer):
    colors, masks, _ = dancer
    frame = over(colors[0], masks[0], GREEN)
    rgba = cut_out(frame, find_backdrop(frame))
    on_black = over(rgba[..., :3], rgba[..., 3] / 255, (0, 0, 0)).astype(int)
    truth = over(colors[0], masks[0], (0, 0, 0)).astype(int)
    rim = (masks[0] > 0.1) & (masks[0] < 0.9)
    assert np.abs(on_black - truth)[rim].mean() < 12
    assert np.abs(frame.astype(int) - truth)[rim].mean() > 40  # what would be left otherwise


def ring(hole):
    """A dark ring on white, closed; what is in it has the given color."""
    y, x = np.mgrid[:96, :96]
    radius = np.hypot(y - 48, x - 48)
    frame = np.full((96, 96, 3), 255, np.uint8)
    frame[radius < 30] = (30, 40, 50)
    frame[radius < 18] = hole
    return frame, radius < 16


class TestClosedPatches:
    def test_an_opening_is_transparent(self):
        frame, inside = ring(WHITE)
        assert (cut_out(frame, find_backdrop(frame))[inside] == 0).all()

    def test_a_shirt_in_the_backdrop_color_stays_where_the_skeleton_runs_through(self):
        frame, inside = ring(WHITE)
        skeleton = np.zeros((192, 192, 3), np.uint8)  # of another size
        skeleton[60:130, 94:98] = (255, 0, 0)
        rgba = cut_out(frame, find_backdrop(frame), skeleton)
        assert (rgba[inside] == 255).all()
        assert (rgba[0, 0] == 0).all()

    def test_a_skeleton_elsewhere_changes_nothing(self):
        frame, inside = ring(WHITE)
        skeleton = np.zeros((96, 96, 3), np.uint8)
        skeleton[2:6, 2:90] = 255
        assert (cut_out(frame, find_backdrop(frame), skeleton)[inside] == 0).all()

    def test_a_patch_of_another_color_stays(self):
        frame, inside = ring((190, 255, 190))
        assert (cut_out(frame, find_backdrop(frame))[inside][:, 3] == 255).all()

    def test_a_highlight_is_no_opening(self):
        frame, _ = ring((30, 40, 50))
        frame[47:49, 47:49] = 255
        assert cut_out(frame, find_backdrop(frame))[48, 48, 3] == 255

    def test_a_speck_is_nobody(self):
        frame, _ = ring((30, 40, 50))
        frame[4:6, 4:6] = 0
        assert cut_out(frame, find_backdrop(frame))[5, 5, 3] == 0


def test_a_character_at_an_end_does_not_hide_the_backdrop():
    frame = np.full((100, 80, 3), GREEN, np.uint8)
    frame[70:, 40:] = (200, 30, 30)
    backdrop = find_backdrop(frame)
    assert np.allclose(backdrop.colors, GREEN)
    assert backdrop.spread == 0


def test_a_wall_above_a_floor_goes(dancer):
    colors, masks, poses = dancer
    wall = np.linspace((200, 180, 160), (120, 140, 170), 192)
    wall[150:] = (60, 70, 90)
    frame = over(colors[0], masks[0], np.repeat(wall[:, None], 128, axis=1))
    alpha = cut_out(frame, find_backdrop(frame), next(iter(draw_poses(poses))))[..., 3] / 255
    assert (alpha[masks[0] < 0.01] > 0.1).mean() < 0.004
    assert (alpha[masks[0] > 0.99] < 0.9).mean() < 0.06


def test_a_busy_background_is_told():
    frame = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    with pytest.raises(SettingsError, match=r"not plain: \d+% of the frame's lines do not end in"):
        find_backdrop(frame)


def test_other_shapes_are_told():
    frame = np.zeros((16, 16, 3), np.uint8)
    with pytest.raises(ShapeError, match="must be"):
        cut_out(frame[..., :2], find_backdrop(frame))


class TestFiles:
    """What is written with transparency comes back with it."""

    @pytest.fixture
    def frames(self):
        y, x = np.mgrid[:64, :96]
        frames = np.zeros((5, 64, 96, 4), np.uint8)
        for n, frame in enumerate(frames):
            alpha = np.clip(20 - np.hypot(y - 32, x - 30 - 6 * n), 0, 8) / 8
            frame[..., :3] = (200, 60, 40)
            frame[..., 3] = np.rint(alpha * 255)
            frame[frame[..., 3] == 0] = 0
        return frames

    def read(self, path, codec):
        import av

        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            decoder = av.CodecContext.create(codec, "r")
            decoder.extradata = stream.codec_context.extradata
            decoder.width, decoder.height = stream.width, stream.height
            decoder.pix_fmt = stream.pix_fmt
            packets = [*(p for p in container.demux(stream) if p.size), None]
            return np.stack(
                [f.to_ndarray(format="rgba") for packet in packets for f in decoder.decode(packet)]
            ), stream.metadata

    @pytest.mark.parametrize(
        ("name", "codec", "off"), [("a.mov", "prores", 6), ("a.webm", "libvpx-vp9", 20)]
    )
    def test_a_video(self, tmp_path, frames, name, codec, off):
        assert write_video(tmp_path / name, iter(frames), 12) == 5
        read, metadata = self.read(tmp_path / name, codec)
        assert read.shape == frames.shape
        assert np.abs(read[..., 3].astype(int) - frames[..., 3]).max() <= off
        whole = frames[..., 3] == 255
        shown = read_video(tmp_path / name).frames
        assert np.abs(shown[whole].astype(int) - frames[whole][:, :3]).mean() < 6
        if name.endswith("webm"):
            assert {key.lower(): value for key, value in metadata.items()}["alpha_mode"] == "1"
        assert read_video(tmp_path / name).fps == pytest.approx(12)

    def test_another_name_is_told(self, tmp_path, frames):
        with pytest.raises(MediaError, match=r"\.mov or \.webm, or as pictures such as"):
            write_video(tmp_path / "a.mp4", frames, 12)
        assert not list(tmp_path.iterdir())
