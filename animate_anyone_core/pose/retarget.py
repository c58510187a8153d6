"""Retargeting: let the character of a picture perform a driver's motion with its own body.

The main path: measure both people, estimate the ratio of every bone group, rebuild every frame with
the character's bones, let the root follow the feet, and place the result in the picture.

Convention: the driver's poses are pixels of the driving video, the reference's and the result's are
pixels of the reference's canvas. Frame 0 is the first. Symbols: F frames, K keypoints.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..errors import PoseError, SettingsError
from .bone_ratios import BoneRatios, estimate_ratios, frame_ratios, full_length
from .bones import (
    FOLLOWERS,
    MID_HIP,
    RIGID_PARTS,
    SEGMENTS,
    Measurements,
    add_mid_hip,
    measure_segments,
)
from .camera_pan import estimate_pan
from .camera_zoom import estimate_zoom
from .detection_report import frame_ranges
from .forward_kinematics import bridge_hidden_joints, rebuild
from .placement import find_shift, fit_on_canvas, lower_ankle
from .retarget_settings import RetargetSettings
from .root_motion import Footing, contact_path
from .skeleton import ANKLES, BODY, NECK, NOSE, NUM_KEYPOINTS, PoseSequence
from .tracking import choose_person


@dataclass(frozen=True)
class RetargetResult:
    """What retargeting gives.

    Attributes:
        poses: One person on the reference's canvas, as many frames as the driver.
        reference: The reference's person (one frame), for the overlay.
        ratios: The ratios used, None if there was nothing to measure.
        notes: What the user should know, frame ranges included.
        aligned_frame: The frame that stands at the reference's place.
    """

    poses: PoseSequence
    reference: PoseSequence
    ratios: BoneRatios | None
    notes: tuple[str, ...]
    aligned_frame: int = 0

    def to_text(self) -> str:
        """Return the ratio table and the notes to read."""
        table = self.ratios.to_text() if self.ratios else "No ratios: nothing could be measured."
        return "\n".join([table, "", *self.notes]).rstrip()


@dataclass(frozen=True)
class _Person:
    """One person: (F, K, 2) points, (F, K) scores and which joints count as seen."""

    points: np.ndarray
    scores: np.ndarray
    visible: np.ndarray


def retarget_poses(
    driver: PoseSequence, reference: PoseSequence, settings: RetargetSettings | None = None
) -> RetargetResult:
    """Let the reference's character perform the driver's motion.

    Hidden joints stay hidden and change nothing else; frames without a person stay empty. Neither
    an empty driver nor an empty reference is an error: the notes tell.

    Args:
        driver: The driving clip; `settings.person` of it is used.
        reference: Its first frame is used, and of several people the largest.
        settings: How; None takes the defaults.

    Returns:
        The poses on the reference's canvas, the ratios and notes.

    Raises:
        PoseError: If the reference has no frame.
        SettingsError: If `align_frame` or `person` do not exist in the driver.
    """
    settings = settings or RetargetSettings()
    _check_choices(driver, reference, settings)
    actor = _take_person(driver, settings.person, settings.visible_score)
    model = _take_person(choose_person(reference.at(slice(1))), 0, settings.visible_score)
    frame = _choose_frame(actor.visible, settings.align_frame)

    notes = _note_absences(actor, model)
    by_ears = not actor.visible[:, NOSE].any()
    measured = measure_segments(
        actor.points, _measurable(actor, settings, notes, "driver"), by_ears
    )
    if settings.zoom_mode != "ignore" and driver.num_frames:
        zoom = estimate_zoom(measured, frame)
        if zoom.min() < zoom.max():
            kept = (
                "" if settings.zoom_mode == "remove" else " It is kept; zoom: remove takes it out."
            )
            notes.append(
                f"Camera zoom from x{zoom.min():.2f} to x{zoom.max():.2f} was found.{kept}"
            )
        measured = [replace(m, lengths=m.lengths / zoom[:, None]) for m in measured]
        if settings.zoom_mode == "remove":
            centre = np.array([driver.width, driver.height]) / 2
            points = centre + (actor.points - centre) / zoom[:, None, None]
            actor = replace(actor, points=points)
    if settings.root_mode == "contact":
        actor = _without_pan(actor, measured, frame, notes)
    pictured = measure_segments(
        model.points, _measurable(model, settings, notes, "reference"), by_ears
    )
    compare = frame_ratios if settings.ratio_mode == "frame" else estimate_ratios
    proportions = compare(measured, pictured, frame) if driver.num_frames else None
    if proportions is None:
        points = _only_fitted(actor.points, driver, reference)
        notes.append("Nothing to compare: the driver's poses were only fitted to the canvas.")
    else:
        proportions = _final_ratios(proportions, settings)
        points = _perform(actor, model, measured, proportions, settings, frame)
    result = _finish(driver, reference, settings, actor, model, points, proportions, notes)
    return replace(result, aligned_frame=frame)


def _check_choices(
    driver: PoseSequence, reference: PoseSequence, settings: RetargetSettings
) -> None:
    if reference.num_frames < 1:
        raise PoseError("The reference needs one frame of poses, got none. Detect its pose first.")
    if settings.person and not settings.person < driver.num_persons:
        raise SettingsError(
            f"The driver has {driver.num_persons} person(s), numbered from 0; got person "
            f"{settings.person}."
        )
    if settings.align_frame and not settings.align_frame < driver.num_frames:
        raise SettingsError(
            f"align_frame must be one of the driver's frames 0 to {driver.num_frames - 1}, got "
            f"{settings.align_frame}."
        )


def _take_person(poses: PoseSequence, person: int, visible_score: float) -> _Person:
    """Return one person of a clip, or nobody if it shows no people at all."""
    if poses.num_persons == 0:
        points = np.zeros((poses.num_frames, NUM_KEYPOINTS, 2))
        scores = np.zeros((poses.num_frames, NUM_KEYPOINTS))
    else:
        points, scores = poses.points[:, person], poses.scores[:, person]
    return _Person(points, scores, (scores >= visible_score) & (scores > 0))


def _measurable(
    person: _Person, settings: RetargetSettings, notes: list[str], name: str
) -> np.ndarray:
    """Return the joints (F, K) to measure: the sure ones, or all that are seen if few are sure."""
    sure = person.visible & (person.scores >= settings.measure_score)
    if 2 * sure[:, BODY].sum() >= person.visible[:, BODY].sum():
        return sure
    notes.append(f"Most joints of the {name} are unsure, so unsure ones were measured too.")
    return person.visible


def _choose_frame(visible: np.ndarray, requested: int) -> int:
    """Return the frame nearest to the wanted one that shows the neck, or at least somebody."""
    for shown in (visible[:, NECK], visible[:, BODY].any(axis=1)):
        frames = np.flatnonzero(shown)
        if len(frames):
            return int(frames[np.abs(frames - requested).argmin()])
    return 0


def _note_absences(actor: _Person, model: _Person) -> list[str]:
    notes = []
    empty = np.flatnonzero(~actor.visible.any(axis=1))
    if len(empty):
        notes.append(f"No person in the driver's frames {frame_ranges(empty)}: they stay empty.")
    if not model.visible.any():
        notes.append("No person in the reference.")
    feet = actor.visible[:, ANKLES].any(axis=1)
    footless = np.flatnonzero(actor.visible.any(axis=1) & ~feet)
    if len(footless):
        notes.append(
            f"No feet in the driver's frames {frame_ranges(footless)}: the body moves by the "
            "neck's way there."
        )
    return notes


def _without_pan(
    actor: _Person, measured: list[Measurements], frame: int, notes: list[str]
) -> _Person:
    """Take out that the camera follows: else feet that stand would slide along with it."""
    legs = [
        full_length(m)
        for s, m in zip(SEGMENTS, measured, strict=True)
        if s.group in ("thigh", "shin") and m.valid.any()
    ]
    if not legs:
        return actor
    pan = estimate_pan(actor.points, actor.visible, 2 * float(np.mean(legs)))
    if not pan.any():
        return actor
    notes.append(
        f"The camera pans: the ground moves by up to {np.ptp(pan):.0f} px across the picture. That "
        "is taken out; root: scaled or original keeps it."
    )
    points = actor.points.copy()
    points[..., 0] -= (pan - pan[frame])[:, None]
    return replace(actor, points=points)


def _final_ratios(proportions: BoneRatios, settings: RetargetSettings) -> BoneRatios:
    """Apply strength and multipliers, and let feet and face follow their groups."""
    strength = 0.0 if settings.ratio_mode == "manual" else settings.strength
    ratios = {
        group: proportions.body_scale * (ratio / proportions.body_scale) ** strength
        for group, ratio in proportions.ratios.items()
    }
    sources = dict(proportions.sources)
    for group, factor in settings.multipliers.items():
        if group not in FOLLOWERS:
            ratios[group] *= factor
            sources[group] += f", x {factor:g}"
    for follower, leader in FOLLOWERS.items():
        factor = settings.multipliers.get(follower, 1.0)
        ratios[follower] = factor * ratios[leader]
        sources[follower] = f"as {leader}" + (f", x {factor:g}" if factor != 1 else "")
    return replace(proportions, ratios=ratios, sources=sources)


def _legs(measured: list[Measurements], ratios: dict[str, float]) -> tuple[float, float]:
    """Return the driver's leg length in pixels and the ratio of the legs."""
    lengths = {
        s.group: full_length(m)
        for s, m in zip(SEGMENTS, measured, strict=True)
        if s.group in ("thigh", "shin") and m.valid.any()
    }
    if not lengths:
        return 1.0, (ratios["thigh"] + ratios["shin"]) / 2
    # A bone that is never seen counts as long as the other one.
    thigh = lengths.get("thigh", lengths.get("shin", 1.0))
    shin = lengths.get("shin", thigh)
    leg = thigh + shin
    return leg, (thigh * ratios["thigh"] + shin * ratios["shin"]) / leg


def _perform(
    actor: _Person,
    model: _Person,
    measured: list[Measurements],
    proportions: BoneRatios,
    settings: RetargetSettings,
    frame: int,
) -> np.ndarray:
    """Rebuild the body in every frame and move it along its path: (F, K, 2)."""
    bridged = bridge_hidden_joints(actor.points, actor.visible)
    rebuilt = rebuild(bridged, proportions.ratios)
    leg_length, leg_ratio = _legs(measured, proportions.ratios)
    footing = Footing(
        bridged, rebuilt, actor.visible[:, ANKLES], leg_length, leg_ratio, proportions.body_scale
    )
    shown_points, shown = add_mid_hip(model.points, model.visible)
    ground = lower_ankle(shown_points[0], shown[0])
    path, has_ground = _path(footing, settings, frame, proportions.matched_frame, ground)
    body = rebuilt + path[:, None]
    _, body_visible = add_mid_hip(actor.points[frame, None], actor.visible[frame, None])
    return body[:, :NUM_KEYPOINTS] + find_shift(
        body[frame], body_visible[0], shown_points[0], shown[0], has_ground
    )


def _path(
    footing: Footing,
    settings: RetargetSettings,
    frame: int,
    level_frame: int | None,
    ground: float | None,
) -> tuple[np.ndarray, bool]:
    """Return the neck's path (F, 2) up to a shift, and whether its y is final already."""
    if settings.root_mode == "contact":
        return contact_path(footing, frame, level_frame, ground)
    if settings.root_mode == "locked":
        return -footing.rebuilt[:, MID_HIP], False
    neck = footing.driver[:, NECK]
    scale = footing.body_scale if settings.root_mode == "scaled" else 1.0
    return scale * (neck - neck[frame]), False


def _only_fitted(points: np.ndarray, driver: PoseSequence, reference: PoseSequence) -> np.ndarray:
    """Scale and centre the driver's canvas into the reference's."""
    own, canvas = (np.array([poses.width, poses.height]) for poses in (driver, reference))
    scale = (canvas / own).min()
    return scale * points + (canvas - scale * own) / 2


def _hide_missing(visible: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Hide body joints that the reference (K,) lacks, and parts of which it shows no point."""
    keep = np.ones(NUM_KEYPOINTS, dtype=bool)
    keep[BODY] = shown[BODY]
    for part, _, _ in RIGID_PARTS:
        keep[part] = shown[part].any()
    return visible & keep


def _finish(
    driver: PoseSequence,
    reference: PoseSequence,
    settings: RetargetSettings,
    actor: _Person,
    model: _Person,
    points: np.ndarray,
    proportions: BoneRatios | None,
    notes: list[str],
) -> RetargetResult:
    """Place the clip as the user wishes, hide what is hidden, and note what leaves the canvas."""
    visible = actor.visible
    if settings.hide_missing and model.visible.any():
        visible = _hide_missing(visible, model.visible[0])
    if settings.scale != 1:
        pivot = _standing_place(points, visible)
        points = pivot + settings.scale * (points - pivot)
    points = points + np.array([settings.offset_x, settings.offset_y])
    if settings.fit_inside:
        points, factor = fit_on_canvas(points, visible, reference.width, reference.height)
        if factor < 1:
            notes.append(f"Shrunk by x{factor:.2f} to stay on the canvas.")
    size = np.array([reference.width, reference.height])
    outside = ((points[:, BODY] < 0) | (points[:, BODY] > size)).any(axis=-1) & visible[:, BODY]
    if outside.any():
        frames = np.flatnonzero(outside.any(axis=1))
        notes.append(f"Body joints leave the canvas in frames {frame_ranges(frames)}.")
    scores = np.where(visible, actor.scores, 0.0)
    poses = PoseSequence(
        points[:, None],
        scores[:, None],
        reference.width,
        reference.height,
        driver.fps,
        doubts=tuple(dict.fromkeys((*driver.doubts, *reference.doubts))),
    )
    character = PoseSequence(
        model.points[:1, None], model.scores[:1, None], reference.width, reference.height
    )
    return RetargetResult(poses, character, proportions, tuple(notes))


def _standing_place(points: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Return the place (2,) about which a clip is scaled: below the neck, on its lowest ankle."""
    frame = _choose_frame(visible, 0)
    if not visible[:, BODY].any():
        return np.zeros(2)
    body = points[frame, BODY][visible[frame, BODY]]
    ankles = points[:, ANKLES][visible[:, ANKLES]]
    ground = ankles[:, 1].max() if len(ankles) else body[:, 1].max()
    across = points[frame, NECK, 0] if visible[frame, NECK] else body[:, 0].mean()
    return np.array([across, ground])
