"""Detect the poses of all people in a clip: boxes on few frames, keypoints on all, who is who.

Symbols: F frames, P persons, N people of one frame, H W pixels.
"""

import math
from collections.abc import Iterable, Iterator, Sized
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import CheckpointError, SettingsError, ShapeError, UnknownCheckpointError
from ..progress import OnStep, silent
from .detection_report import DetectionReport
from .detection_run import DetectionRun, FramePeople, walk_one_stage
from .detector_models import DETECTORS, RTMDET
from .one_stage import ONE_STAGE, OneStageNetwork
from .person_detector import PersonDetector
from .plausibility import FrameSample, Look, Plausibility, check_plausibility
from .pose_estimator import PoseEstimator
from .pose_keypoint import SEEN_SCORE
from .runtime import Network, open_network
from .skeleton import NUM_KEYPOINTS, PoseSequence
from .tracking import track_persons

#: What networks on the CPU say of themselves.
_ON_CPU = ("CPUExecutionProvider", "torch cpu")


class PoseDetector:
    """A person detector and a keypoint estimator that work together.

    Args:
        detector: Finds people; None takes the whole picture as one person.
        estimator: Finds the keypoints of each; a one-stage network finds the people, too, and has no
            use for a detector.
        device: The device that was asked for, for warnings.
        drawn_only: Whether the networks know drawn dancers only. Then a few frames of every clip are
            looked at again, and poses that do not hold are doubted: see `plausibility`.
    """

    def __init__(
        self,
        detector: PersonDetector | None,
        estimator: PoseEstimator | OneStageNetwork,
        device: str = "auto",
        drawn_only: bool = False,
    ) -> None:
        self.detector = detector
        self.estimator = estimator
        self.device = device
        self.drawn_only = drawn_only

    def detect(
        self,
        frames: np.ndarray | Iterable[np.ndarray],
        *,
        fps: float | None = None,
        num_frames: int | None = None,
        interval: int = 8,
        batch_size: int = 8,
        seen_score: float = SEEN_SCORE,
        on_step: OnStep = silent,
    ) -> tuple[PoseSequence, DetectionReport]:
        """Detect all people in all frames.

        Frames are taken one after the other and only a few are kept, so a generator needs the
        memory of `interval` + `batch_size` frames.

        Args:
            frames: (F, H, W, 3) uint8 RGB, or an iterable of (H, W, 3) pictures of one size.
            fps: Frames per second, passed on to the poses.
            num_frames: Number of frames for `on_step`, if `frames` does not know it.
            interval: The detector looks at every so many frames, and between them where people
                come, go or leave their boxes. 1 looks at every frame.
            batch_size: People per run of the estimator, if the network leaves the choice.
            seen_score: Score from which this estimator's keypoints count as seen; all scores are
                scaled so that it becomes 0.3, what the rest of this package takes for seen.
            on_step: Called after each run of a network; raise from it to cancel.

        Returns:
            Poses, with one slot per person through the clip, largest first, and a report. Frames
            without people are in the report, they are no error. With `drawn_only`, poses that cannot
            be trusted say so in their `doubts`, and so does the report.

        Raises:
            ShapeError: If a frame is not an RGB picture of 8 bits or its size differs.
            SettingsError: If a number is out of range.
        """
        _check_settings(interval, batch_size, seen_score)
        if num_frames is None:
            num_frames = len(frames) if isinstance(frames, Sized) else 0
        calls = self._calls()
        sample = FrameSample()
        pictures = _checked_pictures(frames)
        pictures = sample.watch(pictures) if self.drawn_only else pictures
        factor = SEEN_SCORE / seen_score
        if isinstance(self.estimator, OneStageNetwork):
            results, size = walk_one_stage(self.estimator, pictures, factor, num_frames, on_step)
        else:
            run = DetectionRun(
                self.detector, self.estimator, batch_size, factor, num_frames, on_step
            )
            results, size = run.results, run.walk(pictures, interval)
        if size is None:
            size = frames.shape[2:0:-1] if isinstance(frames, np.ndarray) else (1, 1)
        poses, colors = _as_sequence(results, size, fps)
        poses = track_persons(poses, colors=colors)
        verdict = None
        if self.drawn_only and isinstance(self.estimator, PoseEstimator):
            verdict = self._check(self.estimator, poses, sample)
        if verdict is not None and verdict.doubt:
            poses = replace(poses, doubts=(verdict.doubt,))
        return poses, self._report(poses, calls, verdict)

    @property
    def is_on_cpu(self) -> bool:
        """Whether all its networks run on the CPU."""
        parts = [self.estimator] if self.detector is None else [self.estimator, self.detector]
        return all(part.network.provider in _ON_CPU for part in parts)

    def release(self) -> None:
        """Give the networks' memory back; the next `detect` takes it again."""
        self.estimator.network.release()
        if self.detector is not None:
            self.detector.network.release()

    def _calls(self) -> tuple[int, int]:
        """Return how often detector and estimator ran so far."""
        detector = 0 if self.detector is None else self.detector.network.calls
        return detector, self.estimator.network.calls

    def _boxes_by(self) -> str:
        if isinstance(self.estimator, OneStageNetwork):
            return f"{self.estimator.network.name} finds the people itself"
        return _described(self.detector)

    def _check(
        self, estimator: PoseEstimator, poses: PoseSequence, sample: FrameSample
    ) -> Plausibility | None:
        """Look at a few frames again; None if nobody was found."""
        present = np.asarray((poses.scores[:, 0] > 0).any(axis=-1))
        if not present.any():
            return None

        def look(picture: np.ndarray, widen: float) -> Look:
            height, width = picture.shape[:2]
            boxes = np.array([[0.0, 0.0, width, height]])
            if self.detector is not None:
                boxes = self.detector.detect(picture).boxes
            centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
            boxes = np.concatenate([centre - widen * half, centre + widen * half], axis=1)
            return Look(*estimator.estimate([picture] * len(boxes), boxes, 8))

        return check_plausibility(poses, sample.frames(present), look)

    def _report(
        self,
        poses: PoseSequence,
        calls_before: tuple[int, int],
        plausibility: Plausibility | None = None,
    ) -> DetectionReport:
        present = (poses.scores > 0).any(axis=(1, 2))
        persons = (poses.scores > 0).any(axis=(0, 2))
        networks = [part.network for part in (self.detector, self.estimator) if part is not None]
        warnings = []
        if self.device not in ("auto", "cpu", "CPUExecutionProvider"):
            warnings = [
                f"{network.name} was to run on {self.device} but runs on {network.provider}."
                for network in networks
                if network.provider in _ON_CPU
            ]
        calls = self._calls()
        return DetectionReport(
            num_frames=poses.num_frames,
            num_persons=int(persons.sum()),
            frames_without_person=tuple(np.flatnonzero(~present).tolist()),
            detector=self._boxes_by(),
            estimator=_described(self.estimator),
            detector_calls=calls[0] - calls_before[0],
            estimator_calls=calls[1] - calls_before[1],
            warnings=(*warnings, *poses.doubts),
            plausibility=plausibility,
        )


def load_pose_detector(
    detector_path: str | Path | None,
    estimator_path: str | Path,
    device: str = "auto",
    detector_kind: str | None = None,
    allow_torchscript: bool = False,
    drawn_only: bool = False,
    num_threads: int = 0,
) -> PoseDetector:
    """Open a person detector and a pose estimator and find out what they are.

    Args:
        detector_path: ONNX or TorchScript file; None takes the whole picture as one person.
        estimator_path: ONNX or TorchScript file.
        device: See `runtime.open_network`.
        detector_kind: A name of `detector_models`, for files whose signature does not tell
            (RTMDet); None looks at the signature.
        allow_torchscript: Whether TorchScript files, which are programs, may be run.
        drawn_only: Whether the networks know drawn dancers only, see `PoseDetector`.
        num_threads: See `runtime.open_network`.

    Raises:
        CheckpointError: If a file is no network.
        UnknownCheckpointError: If it is a network of no known kind, or of the other kind.
        MissingDependencyError: If a runtime is not installed.
        SettingsError: If `detector_kind` is unknown.
    """
    kinds = {model.kind: model for model in (*DETECTORS, RTMDET)}
    if detector_kind is not None and detector_kind not in kinds:
        raise SettingsError(
            f"Unknown kind of detector {detector_kind!r}. Known: {', '.join(kinds)}."
        )
    estimator_network = open_network(estimator_path, device, allow_torchscript, num_threads)
    try:
        estimator = _open_estimator(estimator_network)
    except UnknownCheckpointError as error:
        raise UnknownCheckpointError(
            f"{error} If it is a person detector, choose it as the detector."
        ) from error
    detector = None
    if detector_path is not None and not isinstance(estimator, OneStageNetwork):
        network = open_network(detector_path, device, allow_torchscript, num_threads)
        try:
            detector = PersonDetector(network, kinds.get(detector_kind or ""))
        except UnknownCheckpointError as error:
            raise UnknownCheckpointError(
                f"{error} If it is a pose estimator, choose it as the estimator."
            ) from error
    return PoseDetector(detector, estimator, device, drawn_only)


def _open_estimator(network: Network) -> PoseEstimator | OneStageNetwork:
    """Tell a network that works alone from one that needs boxes.

    Raises:
        UnknownCheckpointError: If it is neither.
    """
    kinds: list[type[PoseEstimator] | type[OneStageNetwork]] = [PoseEstimator, OneStageNetwork]
    if all(network.input_shape[2:]):  # no picture of another size is tried: quickest first
        kinds.reverse()
    refused: dict[type, CheckpointError] = {}
    for kind in kinds:
        try:
            return kind(network)
        except CheckpointError as error:
            refused[kind] = error
    refusal = refused[PoseEstimator]
    if not isinstance(refusal, UnknownCheckpointError):
        raise refusal
    alone = "; ".join(model.looks_like for model in ONE_STAGE)
    raise UnknownCheckpointError(f"{refusal} Or networks that find people, too: {alone}.")


def _checked_pictures(frames: np.ndarray | Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield frames after a look at type and size."""
    shape: tuple[int, ...] | None = None
    for index, frame in enumerate(frames):
        picture = np.asarray(frame)
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise ShapeError(
                "Frames must be RGB pictures of 8 bits, (height, width, 3) uint8; frame "
                f"{index} is {picture.shape} {picture.dtype}."
            )
        if shape is not None and picture.shape != shape:
            raise ShapeError(
                f"All frames must have one size: frame {index} is "
                f"{picture.shape[1]}x{picture.shape[0]}, the first is {shape[1]}x{shape[0]}."
            )
        shape = picture.shape
        yield picture


def _check_settings(interval: int, batch_size: int, seen_score: float) -> None:
    if interval < 1 or batch_size < 1 or not 0 < seen_score < math.inf:
        raise SettingsError(
            "The detector interval and the batch size must be at least 1 and the seen score above "
            f"0, got {interval}, {batch_size} and {seen_score}."
        )


def _as_sequence(
    results: list[FramePeople], size: tuple[int, int], fps: float | None
) -> tuple[PoseSequence, np.ndarray]:
    """Fill up to the same number of people in all frames; also return colors (F, P, 3)."""
    shape = (len(results), max((len(r.points) for r in results), default=0) or 1)
    points = np.zeros((*shape, NUM_KEYPOINTS, 2))
    scores = np.zeros((*shape, NUM_KEYPOINTS))
    colors = np.full((*shape, 3), np.nan)
    for frame, people in enumerate(results):
        count = len(people.points)
        points[frame, :count], scores[frame, :count] = people.points, people.scores
        colors[frame, :count] = people.colors
    return PoseSequence(points, scores, size[0], size[1], fps), colors


def _described(part: PersonDetector | PoseEstimator | OneStageNetwork | None) -> str:
    """Name a network for the report."""
    if part is None:
        return "none, the whole picture is taken as one person"
    return f"{part.network.name} ({part.model.kind}) on {part.network.provider}"
