"""Videos: what is written is read, exactly as many frames, and nothing half-written stays."""

import stat
import sys
import wave

import av
import numpy as np
import pytest
from PIL import Image

from animate_anyone_core.checkpoints.builtin import BUILT_IN_FOLDER
from animate_anyone_core.errors import MediaError
from animate_anyone_core.pose.openpose_json import load_poses
from animate_anyone_core.video import join_videos, read_video, stored_frames, write_video


def frames(count=6, height=48, width=64):
    """A bright bar that moves down, on a gradient."""
    columns = np.linspace(0, 120, width, dtype=np.uint8)
    clip = np.zeros((count, height, width, 3), np.uint8)
    clip[..., 1] = columns
    for i in range(count):
        clip[i, i * 6 : i * 6 + 6, :, 0] = 220
    return clip


class TestRoundTrip:
    @pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".MP4"])
    def test_frames_come_back_in_order_and_number(self, tmp_path, suffix):
        clip = frames()
        assert write_video(tmp_path / f"a{suffix}", clip, 12.5) == 6
        back = read_video(tmp_path / f"a{suffix}")
        assert back.frames.shape == clip.shape
        assert back.frames.dtype == np.uint8
        assert back.fps == pytest.approx(12.5)
        assert np.abs(back.frames.astype(int) - clip).mean() < 6

    @pytest.mark.parametrize("count", [1, 2, 37])
    def test_every_count_is_exact(self, tmp_path, count):
        clip = np.repeat(frames(1), count, 0)
        assert write_video(tmp_path / "a.mp4", iter(clip), 30) == count
        assert len(read_video(tmp_path / "a.mp4").frames) == count

    @pytest.mark.parametrize("fps", [1, 23.976, 30000 / 1001, 60])
    def test_frame_rates_are_kept(self, tmp_path, fps):
        write_video(tmp_path / "a.mp4", frames(3), fps)
        assert read_video(tmp_path / "a.mp4").fps == pytest.approx(fps, rel=1e-3)

    def test_odd_sides_lose_their_last_row_and_column(self, tmp_path):
        clip = frames(3, 49, 65)
        write_video(tmp_path / "a.mp4", clip, 10)
        back = read_video(tmp_path / "a.mp4").frames
        assert back.shape == (3, 48, 64, 3)
        assert np.abs(back.astype(int) - clip[:, :48, :64]).mean() < 6

    def test_only_the_first_frames_are_read_where_asked(self, tmp_path):
        write_video(tmp_path / "a.mp4", frames(), 10)
        part = read_video(tmp_path / "a.mp4", max_frames=2).frames
        assert np.array_equal(part, read_video(tmp_path / "a.mp4").frames[:2])

    def test_frames_are_taken_one_by_one(self, tmp_path):
        """The writer holds no clip: a frame is asked for after the one before was written."""
        asked = []

        def ask():
            for frame in frames(5):
                asked.append(len(asked))
                yield frame

        assert write_video(tmp_path / "a.mp4", ask(), 10) == 5
        assert asked == list(range(5))

    def test_the_same_frames_give_the_same_bytes(self, tmp_path):
        clip = np.random.default_rng(0).normal(118, 14, (6, 40, 32, 3)).clip(0, 255)
        for number in range(8):
            write_video(tmp_path / f"{number}.mp4", clip.astype(np.uint8), 12)
        assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1

    def test_an_animated_picture_is_a_video(self, tmp_path):
        first, *others = (Image.fromarray(frame) for frame in frames(4))
        first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=100)
        assert len(read_video(tmp_path / "a.gif").frames) == 4

    def test_the_shipped_video_is_as_its_poses_say(self):
        poses = load_poses(BUILT_IN_FOLDER / "samples" / "driving.json")
        path = BUILT_IN_FOLDER / "samples" / "driving.mp4"
        clip = read_video(path)
        assert clip.frames.shape == (len(poses.points), poses.height, poses.width, 3)
        assert clip.fps == pytest.approx(poses.fps)
        assert np.array_equal(read_video(path, max_frames=10).frames, clip.frames[:10])


class TestReadingRefusals:
    def refusal(self, path, **settings):
        with pytest.raises(MediaError) as error:
            read_video(path, **settings)
        assert "\n" not in str(error.value)
        return str(error.value)

    def test_a_missing_file(self, tmp_path):
        assert self.refusal(tmp_path / "a.mp4") == f"There is no video {tmp_path / 'a.mp4'}."
        assert self.refusal(tmp_path).startswith(f"{tmp_path} is a folder; only regular files")

    def test_no_video(self, tmp_path):
        (tmp_path / "a.mp4").write_bytes(b"not a video at all" * 50)
        assert self.refusal(tmp_path / "a.mp4").startswith("a.mp4 cannot be read as a video: ")

    def test_a_truncated_video(self, tmp_path):
        write_video(tmp_path / "a.mp4", frames(), 10)
        content = (tmp_path / "a.mp4").read_bytes()
        (tmp_path / "a.mp4").write_bytes(content[: len(content) // 2])
        assert self.refusal(tmp_path / "a.mp4") == (
            "a.mp4 is damaged: none of its frames can be decoded. Copy or download it again."
        )
        (tmp_path / "a.mp4").write_bytes(content[:100])
        assert self.refusal(tmp_path / "a.mp4").startswith("a.mp4 cannot be read as a video: ")

    def test_sound_alone(self, tmp_path):
        with wave.open(str(tmp_path / "a.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(bytes(1600))
        assert self.refusal(tmp_path / "a.wav") == (
            "a.wav has no picture track. Give a video file."
        )

    def test_a_video_without_frames(self, tmp_path):
        with av.open(str(tmp_path / "a.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=10)
            stream.width = stream.height = 32
            stream.pix_fmt = "yuv420p"
            container.start_encoding()
        message = self.refusal(tmp_path / "a.mp4")
        assert message in (
            "a.mp4 holds no frames. Is it cut short?",
            "a.mp4 has no picture track. Give a video file.",
            "a.mp4 cannot be read as a video: its index is cut short or empty.",
        )


class TestWritingRefusals:
    def refusal(self, *args):
        with pytest.raises(MediaError) as error:
            write_video(*args)
        assert "\n" not in str(error.value)
        return str(error.value)

    def test_no_frames(self, tmp_path):
        assert self.refusal(tmp_path / "a.mp4", [], 10) == "There are no frames to write to a.mp4."
        assert list(tmp_path.iterdir()) == []

    def test_another_ending(self, tmp_path):
        assert self.refusal(tmp_path / "a.gif", frames(), 10) == (
            "Videos are written as .mp4, .mov or .mkv, got the name a.gif."
        )

    @pytest.mark.parametrize("fps", [0, -3, float("nan"), float("inf"), 1001])
    def test_impossible_frame_rates(self, tmp_path, fps):
        assert self.refusal(tmp_path / "a.mp4", frames(), fps) == (
            f"Frames per second must be above 0 and at most 1000, got {fps}."
        )

    def test_a_single_row_of_pixels(self, tmp_path):
        clip = np.zeros((2, 1, 8, 3), np.uint8)
        assert self.refusal(tmp_path / "a.mp4", clip, 5) == (
            "A video needs at least 2 pixels a side, got 8x1."
        )
        assert list(tmp_path.iterdir()) == []

    def test_frames_of_different_sizes(self, tmp_path):
        clip = [*frames(2), *frames(2, 32, 32)]
        message = self.refusal(tmp_path / "a.mp4", clip, 10)
        assert message == (
            "Frames of a video must have one size: frame 2 is 32x32, the first is 64x48."
        )
        assert list(tmp_path.iterdir()) == []


class TestFailures:
    @pytest.fixture
    def path(self, tmp_path):
        """A video that was there before."""
        write_video(tmp_path / "a.mp4", frames(2), 10)
        return tmp_path / "a.mp4"

    def check_untouched(self, path):
        assert [file.name for file in path.parent.iterdir()] == ["a.mp4"]
        assert len(read_video(path).frames) == 2

    def test_an_error_on_the_way_leaves_the_old_file_and_nothing_else(self, path):
        def broken():
            yield frames()[0]
            raise RuntimeError("cancelled")

        with pytest.raises(RuntimeError, match="cancelled"):
            write_video(path, broken(), 10)
        self.check_untouched(path)

    def test_ctrl_c_leaves_the_old_file_and_nothing_else(self, path):
        def stopped():
            yield frames()[0]
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write_video(path, stopped(), 10)
        self.check_untouched(path)

    def test_a_full_disk_is_told(self, path, monkeypatch):
        def full(*args, **kwargs):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(type(path), "replace", full)
        with pytest.raises(MediaError) as error:
            write_video(path, frames(), 10)
        assert str(error.value) == (
            f"Cannot write {path}: No space left on device. Is the disk full or read-only?"
        )
        monkeypatch.undo()
        self.check_untouched(path)

    def test_a_folder_that_cannot_be_made_is_told(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(MediaError, match="Cannot write"):
            write_video(tmp_path / "file" / "a.mp4", frames(), 10)

    @pytest.mark.skipif(sys.platform != "linux", reason="needs a folder nobody may write to")
    def test_a_read_only_folder_is_told(self):
        with pytest.raises(MediaError, match=r"Cannot write /proc/a\.mp4"):
            write_video("/proc/a.mp4", frames(), 10)

    def test_missing_folders_are_made_and_files_are_as_open_as_any_other(self, tmp_path):
        write_video(tmp_path / "new" / "deep" / "a.mp4", frames(2), 10)
        (tmp_path / "other").touch()
        modes = [
            stat.S_IMODE(path.stat().st_mode)
            for path in (tmp_path / "other", tmp_path / "new" / "deep" / "a.mp4")
        ]
        assert modes[0] == modes[1]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
class TestJoining:
    @pytest.mark.parametrize("counts", [[5], [1, 1, 1], [7, 2, 9], [40, 40, 3]])
    def test_joined_parts_are_shown_as_they_were(self, tmp_path, suffix, counts):
        """Every frame in its place, with its time; nothing is encoded again."""
        rng = np.random.default_rng(0)
        parts = []
        for number, count in enumerate(counts):
            part = tmp_path / f"{number}.mp4"
            write_video(part, rng.integers(0, 256, (count, 32, 48, 3), dtype=np.uint8), 24)
            parts.append(part)
        whole = tmp_path / f"whole{suffix}"
        join_videos(parts, whole, 24)
        expected = np.concatenate([read_video(part).frames for part in parts])
        clip = read_video(whole)
        assert np.array_equal(np.stack([frame for _, frame in stored_frames(whole)]), expected)
        # PyAV 14 writes no rate into Matroska; it is then read off times in whole milliseconds
        is_exact = suffix != ".mkv" or int(av.__version__.partition(".")[0]) > 14
        assert not is_exact or np.array_equal(clip.frames, expected)
        assert clip.fps == pytest.approx(24, rel=1e-6 if is_exact else 0.2)

    def test_no_part_is_no_video(self, tmp_path, suffix):
        with pytest.raises(MediaError, match=r"^There are no frames to write to a\."):
            join_videos([], tmp_path / f"a{suffix}", 24)
        assert not list(tmp_path.iterdir())

    def test_texts_are_written_into_the_file(self, tmp_path, suffix):
        frames = np.zeros((2, 32, 48, 3), np.uint8)
        write_video(tmp_path / f"a{suffix}", frames, 24, metadata={"workflow": '{"a": "é"}'})
        with av.open(str(tmp_path / f"a{suffix}")) as container:
            texts = {key.lower(): text for key, text in container.metadata.items()}
        assert texts["workflow"] == '{"a": "é"}'
