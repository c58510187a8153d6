"""Metrics: closed forms, agreement with other implementations, what masks leave out."""

import warnings

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from animate_anyone_core.errors import (
    CheckpointError,
    MissingDependencyError,
    MissingWeightsError,
    SettingsError,
    ShapeError,
)
from animate_anyone_core.evaluation.metrics import (
    METRICS,
    l1,
    psnr,
    psnr_wrapped,
    sharpness_gap,
    ssim,
    temporal_flicker,
)
from animate_anyone_core.evaluation.optical_flow import tof
from animate_anyone_core.evaluation.perceptual import Lpips, load_lpips
from animate_anyone_core.evaluation.scores import mean_scores, score_clip
from animate_anyone_core.evaluation.set_distances import Distances, SetDistances
from animate_anyone_core.evaluation.video_distance import (
    clip_features,
    cut_clips,
    frechet_distance,
    load_i3d,
    temporal_difference_distance,
)


def clip(frames: int = 4, height: int = 24, width: int = 32, seed: int = 0) -> np.ndarray:
    """Random pixels that stay clear of 0 and 255, so that small offsets do not clip."""
    rng = np.random.default_rng(seed)
    return rng.integers(40, 200, (frames, height, width, 3), dtype=np.uint8)


class TestPsnr:
    def test_equal_clips_have_the_best_score(self):
        assert psnr(clip(), clip()) == 100.0

    @pytest.mark.parametrize("offset", [1, 5, 16])
    def test_a_constant_offset_has_the_known_score(self, offset):
        expected = 20 * np.log10(255 / offset)
        assert psnr(clip() + np.uint8(offset), clip()) == pytest.approx(expected, abs=1e-9)

    def test_frames_are_averaged_in_decibels(self):
        result = clip(frames=2)
        result[0] += 2
        result[1] += 8
        expected = np.mean([20 * np.log10(255 / 2), 20 * np.log10(255 / 8)])
        assert psnr(result, clip(frames=2)) == pytest.approx(expected)

    def test_it_agrees_with_torchmetrics(self):
        metrics = pytest.importorskip("torchmetrics.functional.image")
        one, other = clip(1), clip(1, seed=1)
        theirs = metrics.peak_signal_noise_ratio(
            torch.from_numpy(one).double(), torch.from_numpy(other).double(), data_range=255.0
        )
        assert psnr(one, other) == pytest.approx(float(theirs), rel=1e-6)

    def test_a_mask_counts_the_persons_pixels_only(self):
        truth, result = clip(), clip()
        result[:, :, :10] += 20
        result[:, :, 10:] += 4
        mask = np.zeros(truth.shape[:3], np.uint8)
        mask[:, :, 10:] = 255
        assert psnr(result, truth, mask) == pytest.approx(20 * np.log10(255 / 4))
        assert l1(result, truth, mask) == pytest.approx(4 / 255)

    def test_frames_without_a_person_are_left_out(self):
        truth, result = clip(2), clip(2)
        result[0] += 3
        result[1] += 30
        mask = np.zeros(truth.shape[:3], np.uint8)
        mask[0, 4:8, 4:8] = 255
        assert psnr(result, truth, mask) == pytest.approx(20 * np.log10(255 / 3))

    def test_the_wrapped_one_overflows_as_the_first_papers_did(self):
        truth = np.full((1, 16, 16, 3), 100, np.uint8)
        # 16 squared is 256 and wraps to 0: the mistake calls these pictures equal
        assert psnr_wrapped(truth + np.uint8(16), truth) == 100.0
        # -1 wraps to 255, whose square 65025 wraps to 1
        assert psnr_wrapped(truth - np.uint8(1), truth) == pytest.approx(20 * np.log10(255))
        noisy = clip(1, seed=3)
        assert psnr_wrapped(noisy, truth_like(noisy)) > psnr(noisy, truth_like(noisy)) + 5


def truth_like(frames: np.ndarray) -> np.ndarray:
    return np.random.default_rng(9).integers(40, 200, frames.shape, dtype=np.uint8)


class TestSsim:
    def test_equal_clips_score_one(self):
        pytest.importorskip("torchmetrics")
        assert ssim(clip(), clip()) == pytest.approx(1.0, abs=1e-6)

    def test_two_flat_pictures_have_the_known_score(self):
        """Without structure only the luminance term remains."""
        pytest.importorskip("torchmetrics")
        one, other = (np.full((1, 24, 24, 3), v, np.uint8) for v in (51, 102))
        a, b, c1 = 0.2, 0.4, 0.01**2
        expected = (2 * a * b + c1) / (a * a + b * b + c1)
        assert ssim(one, other) == pytest.approx(expected, abs=1e-4)

    def test_a_mask_looks_at_the_person_only(self):
        pytest.importorskip("torchmetrics")
        truth, result = clip(2, 48, 64), clip(2, 48, 64)
        result[:, :, 40:] = clip(2, 48, 64, seed=5)[:, :, 40:]
        mask = np.zeros(truth.shape[:3], np.uint8)
        mask[:, :, :30] = 255
        assert ssim(result, truth, mask) == pytest.approx(1.0, abs=1e-6)
        assert ssim(result, truth) < 0.8

    def test_chunks_do_not_change_it(self):
        pytest.importorskip("torchmetrics")
        one, other = clip(11), clip(11, seed=2)
        singles = [ssim(one[f : f + 1], other[f : f + 1]) for f in range(11)]
        assert ssim(one, other) == pytest.approx(np.mean(singles), abs=1e-6)

    def test_without_torchmetrics_it_says_what_to_install(self, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "torchmetrics.functional.image", None)
        with pytest.raises(MissingDependencyError, match="pip install torchmetrics"):
            ssim(clip(), clip())


class TestSharpness:
    def checks(self, contrast: int) -> np.ndarray:
        board = np.indices((24, 32)).sum(axis=0) % 2
        frame = 128 + contrast * (2 * board - 1)
        return np.repeat(frame[None, ..., None], 3, axis=3).astype(np.uint8).repeat(2, axis=0)

    def test_equal_clips_are_as_sharp(self):
        assert sharpness_gap(clip(), clip()) == 0.0

    @pytest.mark.parametrize(("one", "other"), [(40, 20), (20, 40)])
    def test_half_and_twice_the_detail_are_an_octave(self, one, other):
        assert sharpness_gap(self.checks(one), self.checks(other)) == pytest.approx(1.0)

    def test_it_does_not_matter_where_the_detail_is(self):
        moved = np.roll(self.checks(20), 1, axis=2)
        assert sharpness_gap(moved, self.checks(20)) == pytest.approx(0.0, abs=0.02)

    def test_rounding_is_no_detail(self):
        assert sharpness_gap(self.checks(1) // 2 * 2, np.full_like(self.checks(1), 128)) < 1.1

    def test_a_mask_looks_at_the_person_only(self):
        truth, result = self.checks(20), self.checks(20)
        result[:, :, 16:] = 128
        mask = np.zeros((2, 24, 32), np.uint8)
        mask[:, :, :12] = 255
        assert sharpness_gap(result, truth) > 0.4
        assert sharpness_gap(result, truth, mask) == pytest.approx(0.0, abs=1e-9)


class TestTime:
    def test_a_constant_difference_does_not_flicker(self):
        assert temporal_flicker(clip() + np.uint8(9), clip()) == 0.0

    def test_one_bright_frame_flickers_by_a_known_amount(self):
        truth = np.repeat(clip(1), 5, axis=0)
        result = truth.copy()
        result[2] += 12  # two of the four changes are off by 12
        assert temporal_flicker(result, truth) == pytest.approx(2 / 4 * 12 / 255)

    @pytest.mark.parametrize("step", [(0, 2), (3, 0)])
    def test_a_still_picture_misses_the_motion_by_its_speed(self, step):
        """A smooth texture that slides by known pixels a frame, against one that stands still."""
        rng = np.random.default_rng(0)
        texture = gaussian_filter(rng.normal(0, 1, (160, 160)), 4)
        texture = (texture / np.abs(texture).max() * 120 + 128).astype(np.uint8)
        y, x = step
        moving = np.stack([texture[y * t : 128 + y * t, x * t : 128 + x * t] for t in range(4)])
        truth = moving[..., None].repeat(3, axis=3)
        still = truth[:1].repeat(4, axis=0)
        inside = np.zeros(truth.shape[:3], np.uint8)
        inside[:, 24:-24, 24:-24] = 255
        assert tof(still, truth, inside) == pytest.approx(np.hypot(*step), rel=0.1)
        assert tof(truth, truth) == 0.0
        assert tof(truth // 2 + 20, truth, inside) < 0.2, "it does not mind colors"

    def test_a_flickering_texture_moves_where_nothing_should(self):
        still = clip(1, 64, 64).repeat(4, axis=0)
        flickering = still + np.random.default_rng(1).integers(0, 40, still.shape, dtype=np.uint8)
        assert tof(flickering, still) > 0.1
        assert np.isnan(tof(still[:1], still[:1]))
        assert np.isnan(tof(still, still, np.zeros(still.shape[:3], np.uint8)))

    def test_a_single_frame_has_no_flicker_to_measure(self):
        assert np.isnan(temporal_flicker(clip(1), clip(1)))
        assert np.isnan(temporal_difference_distance(clip(1), clip(1)))

    def test_the_difference_distance_does_not_care_for_the_order_of_changes(self):
        steps = np.array([0, 3, 10, 11, 30])
        shuffled = np.concatenate([[0], np.cumsum(np.diff(steps)[[2, 0, 3, 1]])])
        start = np.full((1, 16, 16, 3), 100)
        one, other = (
            (start + offsets[:, None, None, None]).astype(np.uint8) for offsets in (steps, shuffled)
        )
        assert temporal_difference_distance(one, other) == pytest.approx(0.0, abs=1e-12)

    def test_the_difference_distance_of_a_ramp_to_a_still_is_its_slope(self):
        still = np.full((6, 16, 16, 3), 90, np.uint8)
        ramp = still + (5 * np.arange(6, dtype=np.uint8))[:, None, None, None]
        assert temporal_difference_distance(ramp, still) == pytest.approx(5 / 255)


class TestFrechetDistance:
    def test_it_is_zero_for_equal_sets(self):
        features = np.random.default_rng(0).normal(size=(30, 6))
        assert frechet_distance(features, features) == pytest.approx(0.0, abs=1e-9)

    def test_a_shift_costs_its_square(self):
        features = np.random.default_rng(0).normal(size=(30, 6))
        shift = np.arange(6.0)
        assert frechet_distance(features, features + shift) == pytest.approx(shift @ shift)

    def test_a_scale_has_the_closed_form(self):
        features = np.random.default_rng(0).normal(size=(50, 4))
        centred = features - features.mean(axis=0)
        expected = np.trace(np.cov(centred, rowvar=False)) * (3.0 - 1.0) ** 2
        assert frechet_distance(centred, 3.0 * centred) == pytest.approx(expected)

    def test_fewer_samples_than_features_stay_real(self):
        rng = np.random.default_rng(1)
        assert frechet_distance(rng.normal(size=(3, 40)), rng.normal(size=(4, 40))) > 0

    def test_one_sample_is_not_enough(self):
        with pytest.raises(ShapeError, match="at least 2 samples"):
            frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))


class StandInI3d(torch.nn.Module):
    """The call of the real file; its features are the mean color and the mean change."""

    def forward(
        self, x: torch.Tensor, rescale: bool, resize: bool, return_features: bool
    ) -> torch.Tensor:
        assert not rescale
        assert not resize
        assert return_features
        change = (x[:, :, 1:] - x[:, :, :-1]).abs().mean(dim=(2, 3, 4))
        return torch.cat([x.mean(dim=(2, 3, 4)), change], dim=1)


@pytest.fixture(scope="session")
def i3d_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("i3d") / "i3d.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(StandInI3d()).save(str(path))
    return path


class TestFvd:
    def test_a_brighter_video_has_the_known_distance(self, i3d_path):
        video = clip(20, 16, 16)
        truths = cut_clips(video, 16, hop=2)
        results = cut_clips(video + np.uint8(51), 16, hop=2)
        # 51/255 of a range that is 2 wide, in three colors
        expected = 3 * (0.2 * 2.0) ** 2
        features = [clip_features(clips, load_i3d(i3d_path)) for clips in (results, truths)]
        assert frechet_distance(*features) == pytest.approx(expected, rel=1e-4)

    def test_clips_overlap_and_leave_out_a_rest(self):
        starts = [c[0, 0, 0, 0] for c in cut_clips(np.arange(21).reshape(21, 1, 1, 1), 8, hop=4)]
        assert starts == [0, 4, 8, 12]

    def test_a_missing_file_is_named_with_what_is_needed(self, tmp_path):
        with pytest.raises(CheckpointError, match=r"no I3D file .*absent.pt.*i3d_torchscript.pt"):
            load_i3d(tmp_path / "absent.pt")

    def test_a_network_that_is_called_otherwise_is_refused(self, tmp_path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "linear.pt"))
        network = load_i3d(tmp_path / "linear.pt")
        with pytest.raises(CheckpointError, match=r"linear.pt cannot be run as the I3D network"):
            clip_features([clip(16)], network)

    def test_many_videos_share_one_distance(self, i3d_path):
        """Two videos that swapped their places: each is far from its truth, the set is not."""
        dark, bright = clip(16, 16, 16), clip(16, 16, 16, seed=1) + np.uint8(50)
        i3d = load_i3d(i3d_path)
        pool = SetDistances(Distances(i3d=i3d))
        pool.add(dark, bright)
        pool.add(bright, dark)
        pool.add(dark[:9], bright[:9])
        scores = pool.measure(score_clip(dark, bright))
        assert scores.whole["fvd"] == pytest.approx(0.0, abs=1e-6)
        assert "fvd" not in scores.skipped
        assert "2 overlapping clips of 16 frames of 2 videos" in scores.notes[0]
        assert scores.notes[-1] == (
            "FVD leaves out 1 of 3 videos: at least 2 overlapping clips of 16 frames are needed."
        )

    def test_the_motion_of_many_videos_shares_one_distance_too(self):
        """Two videos that swapped their places, one that is too short, and no I3D file."""
        one, other = clip(12, 32, 32), clip(12, 32, 32, seed=1)
        own = score_clip(one, other).whole["motion_distance"]
        pool = SetDistances(Distances())
        pool.add(one, other)
        pool.add(other, one)
        pool.add(one[:7], other[:7])
        scores = pool.measure(score_clip(one, other, distances=SetDistances(Distances())))
        assert scores.whole["motion_distance"] == pytest.approx(0.0, abs=1e-6) != own
        assert scores.skipped["fvd"] == "no I3D file was given"
        few, note = scores.notes
        assert few == (
            "The motion distance comes from 64 blocks of 2 videos: compare it only with runs on the "
            "same videos, not with papers."
        )
        assert note.startswith("The motion distance leaves out 1 of 3 videos: A motion distance")
        assert "at least 8 frames of 32x32 pixels, got 7 of 32x32" in note

    def test_a_short_video_says_why_its_motion_is_not_measured(self):
        scores = score_clip(clip(7, 32, 32), clip(7, 32, 32))
        assert "at least 8 frames of 32x32 pixels, got 7" in scores.skipped["motion_distance"]

    def test_another_file_is_refused(self, tmp_path):
        (tmp_path / "picture.pt").write_bytes(b"not a network")
        with pytest.raises(CheckpointError, match="no TorchScript network"):
            load_i3d(tmp_path / "picture.pt")


class TestLpips:
    @pytest.fixture
    def network(self) -> Lpips:
        """The package's own network on a random backbone: no download."""
        package = pytest.importorskip("lpips")
        torch.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            network = package.LPIPS(net="squeeze", pnet_rand=True, verbose=False)
        return Lpips(network, "squeeze")

    def test_equal_clips_are_at_zero_and_others_are_not(self, network):
        frames = clip(2, 64, 64)
        assert network.distance(frames, frames) == 0.0
        assert network.distance(clip(2, 64, 64, seed=4), frames) > 0.0

    def test_a_mask_sees_the_person_only(self, network):
        truth, result = clip(1, 128, 128), clip(1, 128, 128)
        result[:, :, 96:] = clip(1, 128, 128, seed=6)[:, :, 96:]
        left, right = (np.zeros(truth.shape[:3], np.uint8) for _ in range(2))
        left[:, :, :24] = 255
        right[:, :, 104:] = 255
        assert network.distance(result, truth, left) < network.distance(result, truth, right)

    def test_frames_too_small_for_it_are_named_and_leave_the_rest(self, network):
        scores = score_clip(clip(2), clip(2), lpips=network)
        assert scores.skipped["lpips"] == (
            "LPIPS needs frames of at least 32 pixels a side, got 32x24."
        )
        assert scores.whole["psnr"] == 100.0

    def test_without_the_backbone_it_says_what_is_missing(self, monkeypatch):
        package = pytest.importorskip("lpips")

        def offline(**_: object) -> None:
            raise OSError("no route to host")

        monkeypatch.setattr(package, "LPIPS", offline)
        with pytest.raises(MissingWeightsError, match=r"weights of alex .*no route to host"):
            load_lpips()

    def test_without_the_package_it_says_what_to_install(self, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "lpips", None)
        with pytest.raises(MissingDependencyError, match="pip install lpips torchvision"):
            load_lpips()


class TestScores:
    def test_every_metric_is_measured_or_skipped_with_a_reason(self):
        scores = score_clip(clip(), clip())
        assert set(scores.whole) | set(scores.skipped) == set(METRICS)
        assert scores.skipped["fvd"] == "no I3D file was given"
        assert scores.skipped["lpips"] == "no LPIPS network was given"

    def test_a_single_frame_says_why_time_is_not_measured(self):
        scores = score_clip(clip(1), clip(1))
        assert scores.skipped["temporal_flicker"] == "needs at least 2 frames"

    def test_a_short_video_says_why_fvd_is_not_measured(self, i3d_path):
        pool = SetDistances(Distances(i3d=load_i3d(i3d_path)))
        scores = score_clip(clip(), clip(), distances=pool)
        reason = "at least 2 overlapping clips of 16 frames are needed."
        assert pool.measure(scores).skipped["fvd"] == reason

    def test_fvd_of_one_video_comes_with_a_warning(self, i3d_path):
        video = clip(24, 16, 16)
        pool = SetDistances(Distances(i3d=load_i3d(i3d_path)))
        scores = pool.measure(score_clip(video, video, distances=pool))
        assert scores.whole["fvd"] == pytest.approx(0.0, abs=1e-6)
        assert "not with papers" in scores.notes[0]

    def test_an_empty_mask_is_mentioned(self):
        scores = score_clip(clip(), clip(), np.zeros((4, 24, 32), np.uint8))
        assert scores.person == {}
        assert scores.notes == ("The mask shows no person in any frame.",)

    def test_progress_ends_at_its_total(self):
        steps: list[tuple[int, int]] = []
        score_clip(clip(), clip(), on_step=lambda done, total: steps.append((done, total)))
        assert [done for done, _ in steps] == list(range(1, len(steps) + 1))
        assert steps[-1][0] == steps[-1][1]

    def test_the_mean_counts_clips_equally(self):
        one = score_clip(clip(2) + np.uint8(2), clip(2))
        other = score_clip(clip(6) + np.uint8(8), clip(6))
        mean = mean_scores([one, other])
        assert mean.whole["l1"] == pytest.approx(5 / 255)
        assert mean.num_frames == 8

    def test_a_clip_without_a_person_does_not_hide_the_others(self):
        mask = np.full((2, 24, 32), 255, np.uint8)
        one = score_clip(clip(2) + np.uint8(2), clip(2), mask)
        nobody = score_clip(clip(2), clip(2), np.zeros_like(mask))
        assert mean_scores([nobody, one]).person == one.person

    def test_the_mean_of_nothing_is_refused(self):
        with pytest.raises(SettingsError, match="at least one"):
            mean_scores([])

    @pytest.mark.parametrize(
        ("result", "message"),
        [
            (clip(3), "the result has 3 frames of 32x24, the truth 4 of 32x24"),
            (clip(4, 32, 24), "the result has 4 frames of 24x32"),
            (clip().astype(np.float32), "result must be RGB uint8 frames"),
            (clip()[..., :1], "result must be RGB uint8 frames"),
        ],
    )
    def test_clips_that_do_not_match_are_refused(self, result, message):
        with pytest.raises(ShapeError, match=message):
            score_clip(result, clip())

    def test_tiny_frames_are_refused(self):
        with pytest.raises(ShapeError, match="at least 11 pixels"):
            score_clip(clip(2, 8, 8), clip(2, 8, 8))

    def test_masks_of_another_size_are_refused(self):
        with pytest.raises(ShapeError, match="mask must be uint8"):
            score_clip(clip(), clip(), np.zeros((4, 24, 31), np.uint8))
