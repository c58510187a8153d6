"""How much longer or shorter each bone of the reference is than the driver's.

A picture shows a bone shortened by an unknown tilt out of the picture plane, so one length proves
little. What is known: how the driver's bones of the same kind looked over the whole clip, that left
and right are alike, and that proportions of one person go together (a long thigh rarely comes with a
short shin). `estimate_ratios` puts this together:

* the evidence of a bone in the picture is a density over its log ratio x: if its true ratio is x, the
  picture shows it shortened by r - D - x (r its log length, D the driver's full log length), and the
  driver's own shortenings at similar image angles say how likely that is;
* the prior is a tree: body scale -> limbs -> arms, legs -> single bones, each deviating from its
  parent by a Laplace density in the log ratio;
* on a grid of x the posterior of a tree is exact by one pass of messages up and one down;
* widths of a trunk that is turned away are left out, and heads are measured as if from the front
  (`facing.py`): a picture from the side must not make shoulders narrow, nor a driver seen from the
  side make them huge;
* two hypotheses compete, "other proportions" and, less likely beforehand, "same proportions, another
  size". The likelier one gives the answer (the median of each posterior), so a body that might as
  well be the driver's gets a pure similarity.

Convention: ratios are reference over driver in pixels of the two canvases; log means natural
logarithm. Symbols: F frames, X grid cells.
"""

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from .bones import GROUPS, SEGMENTS, Measurements, Segment

#: The tree of the prior: node -> (parent, scale of the Laplace density in log ratio).
PRIOR: dict[str, tuple[str, float]] = {
    "torso": ("body", 0.10),
    "shoulders": ("body", 0.15),
    "hips": ("body", 0.15),
    "top": ("body", 0.25),
    "head": ("top", 0.20),
    "neck": ("top", 0.20),
    "limbs": ("body", 0.20),
    "arms": ("limbs", 0.08),
    "legs": ("limbs", 0.08),
    "upper_arm": ("arms", 0.08),
    "forearm": ("arms", 0.08),
    "hand": ("arms", 0.20),
    "thigh": ("legs", 0.065),
    "shin": ("legs", 0.065),
}
#: How far bones of people in pictures usually tilt out of the plane (standard deviation, degrees).
USUAL_TILT = {
    "torso": 15.0,
    "shoulders": 20.0,
    "hips": 20.0,
    "neck": 25.0,
    "head": 25.0,
    "upper_arm": 30.0,
    "forearm": 35.0,
    "hand": 40.0,
    "thigh": 18.0,
    "shin": 15.0,
}
ANY_TILT = 0.15  # share of bones that tilt in any way, as an arm that points at the viewer
LARGEST_SHORTENING = 3.5  # log
ANY_TILT_SAMPLES = 120
SAME_BODY_LOG_ODDS = -3.0
GRID_STEP = 0.01
GRID_REACH = 1.4  # a bone may be 4 times as long or short as the middle of the others
BANDWIDTH = 0.015  # of the density over shortenings
JITTER = 0.006  # error of a joint as a share of the torso's length
ANGLE_SHARPNESS = 20.0  # concentration of the comparison of image angles
FRAMES_PER_LOOK = 6.0  # consecutive frames show nearly the same pose
USUAL_LOOKS = 12.0  # the usual tilt counts as many independent looks as this
MAX_SAMPLES = 400
MATCH_ANGLE = np.radians(1.5)  # poses this alike in every bone are the same pose
MATCH_SEGMENTS = 6


@dataclass(frozen=True)
class BoneRatios:
    """Ratios of all groups and where they come from.

    Attributes:
        body_scale: Ratio of the body as a whole.
        ratios: Group -> ratio.
        spread: Group -> relative uncertainty (half of the central 68 %); 0 where it is not known.
        sources: Group -> "measured" or why not.
        method: One sentence for the user.
        matched_frame: The frame in which the driver holds the reference's pose, if there is one.
    """

    body_scale: float
    ratios: dict[str, float]
    spread: dict[str, float]
    sources: dict[str, str]
    method: str
    matched_frame: int | None = None

    def to_text(self) -> str:
        """Return a table to read."""
        lines = [self.method, f"body scale {self.body_scale:.3f}", ""]
        lines.append(f"{'group':<11} {'ratio':>7} {'vs body':>8} {'sure to':>8}  source")
        for group, ratio in self.ratios.items():
            spread = self.spread.get(group, 0.0)
            sure = f"±{100 * spread:.0f}%" if spread > 0 else ""
            change = 100 * (ratio / self.body_scale - 1)
            source = self.sources.get(group, "")
            lines.append(f"{group:<11} {ratio:7.3f} {change:+7.0f}% {sure:>8}  {source}")
        return "\n".join(lines)


def full_length(measured: Measurements) -> float:
    """Return a segment's length when it lies in the picture plane, NaN if it was never seen."""
    lengths = measured.lengths[measured.valid]
    return float(np.quantile(lengths, 0.97)) if lengths.size else float("nan")


def _tilted(group: str, count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Return log shortenings of usual tilts of a group and, more rarely, of any tilts, and weights.

    Those of any size lie evenly in the log shortening, as a grid must: thighs of somebody who sits
    point at the viewer, and no length of theirs may be likelier than the ones beside it. Weights sum
    to 1.
    """
    normal = NormalDist(0.0, USUAL_TILT[group])
    tilts = [normal.inv_cdf(0.5 + 0.5 * (i + 0.5) / count) for i in range(count)]
    usual = np.log(np.cos(np.radians(np.minimum(tilts, 85.0))))
    edges = -np.linspace(0.0, LARGEST_SHORTENING, ANY_TILT_SAMPLES + 1)
    shares = np.diff(np.arccos(np.exp(edges)))
    return (
        np.concatenate([usual, (edges[:-1] + edges[1:]) / 2]),
        np.concatenate([np.full(count, (1 - ANY_TILT) / count), ANY_TILT * shares / shares.sum()]),
    )


def _evidence(
    segment: Segment,
    driver: Measurements,
    reference: Measurements,
    jitter: tuple[float, float],
    grid: np.ndarray,
) -> np.ndarray:
    """Return the log likelihood (X,) of a group's log ratio from one segment of the picture."""
    full = full_length(driver)
    shortenings = np.log(driver.lengths[driver.valid] / full)
    angles = driver.angles[driver.valid]
    step = -(-len(angles) // MAX_SAMPLES)
    shortenings, angles = shortenings[::step], angles[::step]
    usual, usual_weights = _tilted(segment.group)
    total = np.zeros_like(grid)
    for side in np.flatnonzero(reference.valid[0]):
        length, angle = reference.lengths[0, side], reference.angles[0, side]
        alike = np.exp(ANGLE_SHARPNESS * (np.cos(angles - angle) - 1.0))
        looks = alike.sum() * step / FRAMES_PER_LOOK
        share = looks / (looks + USUAL_LOOKS)
        weights = np.concatenate(
            [share * alike / max(alike.sum(), 1e-12), (1 - share) * usual_weights]
        )
        trembles = (jitter[0] / full) ** 2 + (jitter[1] / length) ** 2
        doubts = driver.doubt**2 + reference.doubt**2
        width = np.sqrt(BANDWIDTH**2 + trembles + doubts)
        observed = np.log(length / full) - grid
        distance = (
            observed[:, None] - np.concatenate([shortenings, usual])
        ) / width  # (X, samples)
        density = np.exp(-0.5 * distance**2) @ weights / width
        total += segment.weight * np.log(density + 1e-6)
    return total


def _log_apply(kernel: np.ndarray, log_values: np.ndarray) -> np.ndarray:
    top = log_values.max()
    return np.log(kernel @ np.exp(log_values - top) + 1e-300) + top


def _solve_tree(
    evidence: dict[str, np.ndarray], grid: np.ndarray
) -> tuple[float, dict[str, np.ndarray]]:
    """Return the log evidence of "other proportions" and the posterior (X,) of every node."""
    apart = np.abs(grid[:, None] - grid)
    kernels = {}
    for node, (_, scale) in PRIOR.items():
        kernel = np.exp(-apart / scale)
        kernels[node] = kernel / kernel.sum(axis=1).max()
    nothing = np.zeros_like(grid)
    belief = {node: evidence.get(node, nothing) for node in ("body", *PRIOR)}
    upward = {}
    for node in reversed(PRIOR):
        parent = PRIOR[node][0]
        upward[node] = _log_apply(kernels[node], belief[node])
        belief[parent] = belief[parent] + upward[node]
    posterior = {"body": belief["body"]}
    for node, (parent, _) in PRIOR.items():
        from_above = posterior[parent] - upward[node]
        posterior[node] = belief[node] + _log_apply(kernels[node].T, from_above)
    top = belief["body"].max()
    log_evidence = float(top + np.log(np.exp(belief["body"] - top).sum()))
    return log_evidence, posterior


def _quantiles(log_density: np.ndarray, grid: np.ndarray) -> tuple[float, float]:
    """Return the median and half of the central 68 % of a density on the grid."""
    density = np.exp(log_density - log_density.max())
    density /= density.sum()
    below = np.cumsum(density) - 0.5 * density
    low, median, high = np.interp([0.16, 0.5, 0.84], below, grid)
    return float(median), float(high - low) / 2


def find_matching_frame(
    driver: list[Measurements], reference: list[Measurements], preferred: int = 0
) -> int | None:
    """Find a frame in which the driver holds the reference's pose, None if there is none.

    All image angles that both show must agree; then the limbs are tilted alike and the lengths of
    that frame give the ratios directly. Of several equal frames the preferred one is taken.
    """
    worst = np.zeros(len(driver[0].lengths))
    common = np.zeros(len(worst))
    for mine, theirs in zip(driver, reference, strict=True):
        apart = np.abs(np.angle(np.exp(1j * (mine.angles - theirs.angles[0]))))
        both = mine.valid & theirs.valid[0]
        worst = np.maximum(worst, np.where(both, apart, 0.0).max(axis=1))
        # A frame that misses what the picture shows cannot be known to match.
        missing = (theirs.valid[0] & ~mine.valid & mine.valid.any(axis=0)).any(axis=1)
        worst = np.where(missing, np.inf, worst)
        common += both.any(axis=1)
    worst = np.where(common >= MATCH_SEGMENTS, worst, np.inf)
    best = int(worst.argmin())
    if worst[preferred] <= worst[best] + 1e-6:
        best = preferred
    return best if worst[best] < MATCH_ANGLE else None


def _fill_from_family(ratios: dict[str, float], body_scale: float) -> dict[str, str]:
    """Give groups without a ratio that of their sibling, else the body's; return the sources."""
    sources = dict.fromkeys(ratios, "measured")
    for group in GROUPS:
        if group in ratios:
            continue
        family = [g for g in GROUPS if sources.get(g) == "measured" and _same_parent(g, group)]
        ratios[group] = ratios[family[0]] if family else body_scale
        sources[group] = f"not seen: as {family[0]}" if family else "not seen: as the body"
    return sources


def _same_parent(a: str, b: str) -> bool:
    return PRIOR[a][0] == PRIOR[b][0] and PRIOR[a][0] in ("arms", "legs", "top")


def frame_ratios(
    driver: list[Measurements], reference: list[Measurements], frame: int
) -> BoneRatios | None:
    """Take the ratios from one frame; exact if the driver holds the reference's pose there.

    Args:
        driver: Measurements of all frames.
        reference: Measurements of the picture.
        frame: The frame to compare with.

    Returns:
        The ratios, or None if the frame and the picture share no segment.
    """
    ratios, body = {}, []
    for group in GROUPS:
        mine = theirs = 0.0
        for segment, d, r in zip(SEGMENTS, driver, reference, strict=True):
            both = d.valid[frame] & r.valid[0] & (segment.group == group)
            mine += float(d.lengths[frame, both].sum())
            theirs += float(r.lengths[0, both].sum())
        if mine > 0:
            ratios[group] = theirs / mine
            body += [theirs / mine] * (group not in ("hand", "head"))
    if not ratios:
        return None
    scale = float(np.median(body or list(ratios.values())))
    sources = _fill_from_family(ratios, scale)
    ordered = {group: ratios[group] for group in GROUPS}
    return BoneRatios(scale, ordered, {}, sources, f"Ratios of frame {frame}.")


def estimate_ratios(
    driver: list[Measurements], reference: list[Measurements], preferred: int = 0
) -> BoneRatios | None:
    """Estimate all ratios from all frames of the driver and one picture.

    Args:
        driver: Measurements of the clip, lengths freed of camera zoom.
        reference: Measurements of the picture (F = 1).
        preferred: The frame to take if several hold the reference's pose equally well.

    Returns:
        The ratios, or None if clip and picture share no segment.
    """
    match = find_matching_frame(driver, reference, preferred)
    if match is not None:
        exact = frame_ratios(driver, reference, match)
        if exact is not None:
            method = (
                f"The driver holds the reference's pose in frame {match}: ratios of that frame."
            )
            return replace(exact, method=method, matched_frame=match)
    # A pose that matches proves its widths too; otherwise only telling measurements count.
    observed = {s.group for s, d, r in zip(SEGMENTS, driver, reference, strict=True) if _both(d, r)}
    driver, reference = (
        [replace(m, valid=m.telling) for m in measured] for measured in (driver, reference)
    )
    shared = [
        (segment, d, r)
        for segment, d, r in zip(SEGMENTS, driver, reference, strict=True)
        if _both(d, r)
    ]
    if not shared:
        return None
    offsets = [np.log(r.lengths[r.valid].max() / full_length(d)) for _, d, r in shared]
    grid = np.median(offsets) + np.arange(-GRID_REACH, GRID_REACH + GRID_STEP / 2, GRID_STEP)
    jitter = JITTER * _size(driver), JITTER * _size(reference)
    evidence: dict[str, np.ndarray] = {}
    for segment, d, r in shared:
        term = _evidence(segment, d, r, jitter, grid)
        evidence[segment.group] = evidence.get(segment.group, 0.0) + term
    sources = {group: f"not seen: as the {PRIOR[group][0]}" for group in GROUPS}
    sources |= {group: f"seen from the side: as the {PRIOR[group][0]}" for group in observed}
    sources |= dict.fromkeys(evidence, "measured")
    return _decide(evidence, grid, sources)


def _both(driver: Measurements, reference: Measurements) -> bool:
    return bool(driver.valid.any() and reference.valid.any())


def _size(measured: list[Measurements]) -> float:
    """Return about the length of the torso in pixels, from whatever is seen."""
    share = {"torso": 1.0, "thigh": 0.85, "shin": 0.85, "shoulders": 0.72, "upper_arm": 0.57}
    sizes = [
        full_length(m) / share[s.group]
        for s, m in zip(SEGMENTS, measured, strict=True)
        if s.group in share and m.valid.any()
    ]
    if sizes:
        return float(np.median(sizes))
    return float(max(m.lengths[m.valid].max() for m in measured if m.valid.any()))


def _decide(
    evidence: dict[str, np.ndarray], grid: np.ndarray, sources: dict[str, str]
) -> BoneRatios:
    """Compare the two hypotheses and read the ratios off the likelier one."""
    other, posterior = _solve_tree(evidence, grid)
    together = np.sum(list(evidence.values()), axis=0)
    same = float(together.max() + np.log(np.exp(together - together.max()).sum()))
    if same + SAME_BODY_LOG_ODDS >= other:
        scale, half = _quantiles(together, grid)
        ratios = dict.fromkeys(GROUPS, float(np.exp(scale)))
        method = "The reference has the driver's proportions: one ratio for all bones."
        return BoneRatios(ratios["torso"], ratios, dict.fromkeys(GROUPS, half), sources, method)
    medians = {g: _quantiles(posterior[g], grid) for g in GROUPS}
    return BoneRatios(
        body_scale=float(np.exp(_quantiles(posterior["body"], grid)[0])),
        ratios={g: float(np.exp(median)) for g, (median, _) in medians.items()},
        spread={g: half for g, (_, half) in medians.items()},
        sources=sources,
        method="The reference has proportions of its own: ratios from all frames.",
    )
