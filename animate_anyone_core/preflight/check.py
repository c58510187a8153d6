"""All checks of a planned run."""

from .bodies import check_bodies, check_driver, check_reference
from .cost import check_memory, estimates
from .planned_run import Finding, PlannedRun, PreflightReport
from .sizes import check_frames, check_sizes
from .skeleton_pictures import check_skeletons
from .steps import check_steps


def check_run(run: PlannedRun) -> PreflightReport:
    """Check everything that the given parts allow."""
    findings: list[Finding] = []
    skipped: list[str] = []
    if run.driver is None:
        skipped.append("missing joints and several persons: wire the driver's POSE_KEYPOINT")
    else:
        findings += check_driver(run.driver)
    if run.driver is None or run.reference is None:
        skipped.append("scale and half body: wire POSE_KEYPOINT of the driver and of the reference")
    else:
        findings += check_bodies(run.driver, run.reference)
    if run.reference is not None:
        findings += check_reference(run.reference)
    findings += [*check_sizes(run), *check_frames(run), *check_steps(run)]
    if run.skeletons is None:
        skipped.append("the skeletons' style: wire the drawn poses")
    else:
        findings += check_skeletons(run.skeletons, run.driver, run.profile)
    findings += check_memory(run)
    findings.sort(key=lambda finding: not finding.fails)
    return PreflightReport(tuple(findings), tuple(estimates(run)), tuple(skipped))
