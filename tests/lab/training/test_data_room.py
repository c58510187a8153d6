"""The data room on made clips: every planted defect is found by its name, and good clips are kept."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from animate_anyone_core.lab.benchmarks.loader_clips import Dance
from animate_anyone_core.lab.synthetic.dancers import render_clip
from animate_anyone_core.lab.training.data_room.burnt_text import letters_in_a_row
from animate_anyone_core.lab.training.data_room.filters import (
    FilterSettings,
    apparent_height,
    judge,
    measure,
    motion,
    others_seen,
    person_boxes,
    person_height,
)
from animate_anyone_core.lab.training.data_room.fingerprints import Fingerprints
from animate_anyone_core.lab.training.data_room.looks import look, sharpness
from animate_anyone_core.lab.training.data_room.report_page import Judged, explain, write_report
from animate_anyone_core.lab.training.footage import Shot
from animate_anyone_core.lab.training.prepare_clips import (
    PrepareSettings,
    explain_clip,
    prepare_clips,
)
from animate_anyone_core.pose.skeleton import PoseSequence
from animate_anyone_core.video import write_video
from animate_anyone_core.workers.tasks import OneProcess

pytestmark = pytest.mark.slow

FRAMES, WIDTH, HEIGHT, FPS = 24, 144, 192, 12.0
SETTINGS = FilterSettings()
KINDS = ("cut", "people", "tiny", "still", "blur", "camera", "rate")
EACH = 3


class Made:
    """Frames, everybody's poses, the main person's, and time stamps."""

    def __init__(self, seed: int) -> None:
        clip = render_clip(seed, seed + 500, FRAMES, WIDTH, HEIGHT)
        rng = np.random.default_rng(seed)
        texture = rng.integers(0, 50, (HEIGHT // 6, WIDTH // 6, 3), dtype=np.uint8)
        # something on every wall, as real rooms have
        wall = cv2.resize(texture, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        self.frames = [np.clip(frame.astype(int) + wall - 25, 0, 255) for frame in clip.frames]
        self.frames = [frame.astype(np.uint8) for frame in self.frames]
        shake = rng.normal(0, 0.6, clip.poses.points.shape)  # as an estimator's
        points = clip.poses.points + shake * (clip.poses.scores > 0)[..., None]
        self.people = self.main = PoseSequence(points, clip.poses.scores, WIDTH, HEIGHT, FPS)
        self.stamps = np.arange(FRAMES) * 100
        self.moves = motion(clip.poses) >= 0.04  # some dancers only stand

    def reasons(self):
        looks = look(self.frames, FRAMES, person_boxes(self.main), SETTINGS.cut)
        found = measure(looks, self.people, self.main, FPS, self.stamps)
        return judge(found, SETTINGS), found, looks


def planted(kind: str, seed: int) -> Made:
    made, other = Made(seed), Made(seed + 7000)
    half = FRAMES // 2
    if kind == "cut":
        made.frames[half:] = other.frames[half:]
    elif kind == "still":
        made.frames = [made.frames[0]] * FRAMES
        rng = np.random.default_rng(seed)
        points = made.main.points[:1] + rng.normal(0, 0.6, made.main.points.shape)
        scores = np.repeat(made.main.scores[:1], FRAMES, axis=0)
        made.people = made.main = PoseSequence(points, scores, WIDTH, HEIGHT, FPS)
    elif kind == "people":
        made.frames = [np.hstack(pair) for pair in zip(made.frames, other.frames, strict=True)]
        points = np.concatenate(
            [made.main.points, other.main.points + np.array([WIDTH, 0])], axis=1
        )
        scores = np.concatenate([made.main.scores, other.main.scores], axis=1)
        made.people = PoseSequence(points, scores, 2 * WIDTH, HEIGHT, FPS)
        made.main = made.people.of([0])
    elif kind == "tiny":
        made.frames = [np.pad(f, ((400, 400), (300, 300), (0, 0)), "reflect") for f in made.frames]
        size = (WIDTH + 600, HEIGHT + 800)
        points = made.main.points + np.array([300, 400]) * (made.main.scores > 0)[..., None]
        made.people = made.main = PoseSequence(points, made.main.scores, *size, FPS)
    elif kind == "blur":
        made.frames = [cv2.GaussianBlur(frame, None, 3.0) for frame in made.frames]
    elif kind == "camera":
        made.frames = [zoomed(frame, 1 + 0.03 * i) for i, frame in enumerate(made.frames)]
    elif kind == "rate":
        made.stamps = np.cumsum(np.random.default_rng(seed).choice([100, 100, 250], FRAMES))
    return made


def zoomed(frame: np.ndarray, scale: float) -> np.ndarray:
    center = (WIDTH / 2, HEIGHT / 2)
    change = cv2.getRotationMatrix2D(center, 0, scale)
    return cv2.warpAffine(frame, change, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)


@pytest.fixture(scope="module")
def verdicts() -> list[tuple[str, set[str]]]:
    """Per clip, what was planted ("good" for nothing) and the kinds that were found."""
    found = []
    seeds = [seed for seed in range(100, 108) if Made(seed).moves]
    for kind in KINDS:
        for seed in seeds[:EACH]:
            reasons, _, _ = planted(kind, seed).reasons()
            found.append((kind, {reason.kind for reason in reasons}))
    for made in (Made(300 + number) for number in range(EACH * len(KINDS))):
        if made.moves:
            found.append(("good", {reason.kind for reason in made.reasons()[0]}))
    assert len(found) >= 1.8 * EACH * len(KINDS)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_planted_defect_is_found(verdicts, kind):
    """Recall is 1 here: the clips are few."""
    assert all(kind in found for planted, found in verdicts if planted == kind)


@pytest.mark.parametrize("kind", KINDS)
def test_no_defect_is_found_where_none_is(verdicts, kind):
    wrong = [planted for planted, found in verdicts if kind in found and planted != kind]
    assert not wrong


def test_duplicates_are_found_after_another_encoding_and_nothing_else():
    kept, none = Fingerprints(SETTINGS.least_difference), Fingerprints(None)
    for number in range(6):
        made = Made(400 + number)
        prints = made.reasons()[2].prints
        assert kept.twin(prints) is None
        kept.add(Shot(Path(f"{number}.mp4")), prints)
        none.add(Shot(Path(f"{number}.mp4")), prints)
        made.frames = [np.clip(f * 0.95 + 6, 0, 255).astype(np.uint8) for f in made.frames]
        again = made.reasons()[2].prints
        assert kept.twin(again) == Shot(Path(f"{number}.mp4"))
        assert none.twin(again) is None


def test_the_first_of_many_fingerprints_is_named_whatever_its_brightness_and_contrast():
    rng = np.random.default_rng(0)
    prints = rng.integers(40, 200, (300, 3, 8, 9)).astype(np.uint8)
    prints[200] = prints[123]
    kept = Fingerprints(SETTINGS.least_difference)
    for number, own in enumerate(prints):
        kept.add(Shot(Path(str(number))), own)
    assert kept.twin((0.9 * prints[123] + 20).round().astype(np.uint8)) == Shot(Path("123"))
    assert kept.twin(rng.integers(40, 200, (3, 8, 9)).astype(np.uint8)) is None


def test_pictures_of_the_same_bits_are_compared_themselves():
    """Which of two neighbors is brighter tells little of walls that differ softly."""
    rng = np.random.default_rng(1)
    signs = rng.choice([-1, 1], (3, 8, 9))
    one, other = (
        (128 + np.cumsum(signs * rng.integers(1, 12, signs.shape), axis=2)).astype(np.uint8)
        for _ in range(2)
    )
    assert ((one[..., 1:] > one[..., :-1]) == (other[..., 1:] > other[..., :-1])).all()
    kept = Fingerprints(SETTINGS.least_difference)
    kept.add(Shot(Path("a")), one)
    assert kept.twin(other) is None
    noisy = (one + rng.integers(-1, 2, one.shape)).astype(np.uint8)
    assert kept.twin(noisy) == Shot(Path("a"))


def test_stripes_and_a_large_head_are_no_moving_camera():
    """Corners on stripes slide along them, and hair stands above all joints."""
    dance = Dance(540, 960)
    looks = look(dance.frames(24), 24, person_boxes(dance.poses(24)), SETTINGS.cut)
    assert looks.camera is None or looks.camera * 25 < SETTINGS.most_camera / 2


def wall(rng) -> np.ndarray:
    return cv2.GaussianBlur(rng.integers(90, 160, (420, 320), np.uint8), None, 2)


def test_a_line_of_text_that_stays_is_counted_and_one_that_goes_is_not():
    rng = np.random.default_rng(0)
    plain = [wall(rng) for _ in range(9)]
    written = [cv2.putText(g.copy(), "HELLO WORLD", (40, 60), 0, 0.9, 255, 2) for g in plain]
    assert letters_in_a_row(cv2, written) >= 10
    assert letters_in_a_row(cv2, plain) <= SETTINGS.most_letters
    for_a_third = [*plain[:6], *written[6:]]
    assert letters_in_a_row(cv2, for_a_third) >= 10
    passing = [
        cv2.putText(g.copy(), "HELLO WORLD", (5 + 30 * i, 60 + 30 * i), 0, 0.9, 255, 2)
        for i, g in enumerate(plain)
    ]
    assert letters_in_a_row(cv2, passing) <= SETTINGS.most_letters
    assert letters_in_a_row(cv2, []) == 0


def test_a_caption_for_half_of_the_clip_is_counted_whatever_moves_behind_its_outline():
    rng = np.random.default_rng(1)
    pictures = [wall(rng) for _ in range(24)]
    for i, picture in enumerate(pictures):
        cv2.rectangle(picture, (20 + 11 * i, 0), (50 + 11 * i, 420), 30, -1)  # a leg
        if 5 <= i < 17:
            cv2.putText(picture, "HELLO WORLD", (40, 60), 0, 0.9, 0, 8)
            cv2.putText(picture, "HELLO WORLD", (40, 60), 0, 0.9, 255, 2)
    assert letters_in_a_row(cv2, pictures) >= 8


def test_letters_of_a_shirt_that_sways_are_no_burnt_text():
    """They overlap all the time, but what is right beside them changes."""
    rng = np.random.default_rng(2)
    swaying = [
        cv2.putText(wall(rng), "HELLO WORLD", (40 + i % 2, 60 + i % 2), 0, 0.9, 255, 4)
        for i in range(24)
    ]
    assert letters_in_a_row(cv2, swaying) <= SETTINGS.most_letters
    standing = [cv2.putText(wall(rng), "HELLO WORLD", (40, 60), 0, 0.9, 255, 4) for _ in range(24)]
    assert letters_in_a_row(cv2, standing) >= 8


def test_legs_that_are_seen_where_none_are_make_nobody_taller():
    main = Made(300).main
    height = person_height(main)
    assert apparent_height(main) == height
    legs = [9, 10, 12, 13]
    points = main.points.copy()
    points[:, :, legs, 1] += 1.5 * height
    taller = replace(main, points=points)
    assert person_height(taller) > 2 * height
    assert apparent_height(taller) < 1.4 * height


def test_joints_that_are_guessed_leave_a_clip_out():
    made = Made(next(seed for seed in range(300, 320) if Made(seed).moves))
    assert made.reasons()[0] == []
    made.main = made.people = replace(made.main, scores=0.5 * made.main.scores)
    assert [reason.kind for reason in made.reasons()[0]] == ["body"]


def test_somebody_else_is_beside_the_person_in_the_same_frame():
    main = Made(300).main
    others = {}
    for name, moved, seen in (("beside", WIDTH, 1.0), ("a part", 3, 1.0), ("alone", WIDTH, 0.0)):
        own = replace(main, scores=main.scores * seen)
        points = np.concatenate([own.points, main.points + np.array([moved, 0])], axis=1)
        scores = np.concatenate([own.scores, main.scores], axis=1)
        people = PoseSequence(points, scores, 2 * WIDTH, HEIGHT, FPS)
        others[name] = others_seen(people, people.of([0]))
    assert others == {"beside": 1.0, "a part": 0.0, "alone": 0.0}


def test_a_fence_and_dots_are_no_text():
    fence, dots = (np.full((420, 320), 80, np.uint8) for _ in range(2))
    for left in range(10, 310, 20):
        cv2.rectangle(fence, (left, 200), (left + 5, 240), 255, -1)
        cv2.circle(dots, (left, 220), 5, 255, -1)
    assert letters_in_a_row(cv2, [fence] * 9) <= SETTINGS.most_letters
    assert letters_in_a_row(cv2, [dots] * 9) <= SETTINGS.most_letters


def test_sharpness_is_of_the_edges_whatever_their_contrast():
    stripes = np.tile(np.repeat([0.0, 200.0], 12), (64, 6)).astype(np.float32)
    sharp = sharpness(stripes)
    assert sharp == pytest.approx(sharpness(stripes / 4), rel=0.05)
    assert sharpness(cv2.GaussianBlur(stripes, None, 3)) < sharp / 2


def test_the_page_shows_what_was_kept_and_what_was_not_and_why(tmp_path):
    good, bad = Made(300), planted("cut", 100)
    judged = []
    for name, made in (("good.mp4", good), ("bad <cut>.mp4", bad)):
        reasons, found, looks = made.reasons()
        judged.append(Judged(Shot(Path(name)), reasons, found, looks.thumbnail))
    write_report(tmp_path / "report.html", judged)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h1>1 of 2 clips kept</h1>" in page
    assert "bad &lt;cut&gt;.mp4" in page
    assert "it has 1 cut, so it is several shots" in page
    assert page.count("data:image/jpeg;base64,") == 2
    assert "http" not in page, "nothing is fetched"
    assert explain(judged[0]).endswith("kept")
    assert "left out (cut): it has 1 cut" in explain(judged[1])


class KnowsThePoses:
    """A detector that answers with the made clip's poses."""

    def __init__(self, made: Made) -> None:
        self._made = made

    def detect(self, frames, **options):
        assert len(list(frames)) == FRAMES
        return self._made.people, None


def test_prepare_leaves_out_what_is_not_good_and_says_why(tmp_path):
    made = next(m for m in map(Made, range(100, 108)) if m.moves)
    write_video(tmp_path / "a.mp4", made.frames, FPS)
    write_video(tmp_path / "b.mp4", made.frames, FPS)
    cut = made.frames[: FRAMES // 2] + [255 - f for f in made.frames[FRAMES // 2 :]]
    write_video(tmp_path / "c.mp4", cut, FPS)
    (tmp_path / "d.mp4").write_bytes(b"no video")
    settings = PrepareSettings(filters=SETTINGS)
    detector = KnowsThePoses(made)
    report = prepare_clips(tmp_path, OneProcess(detector), None, settings)
    assert [clip.name for clip in report.written] == ["a.mp4"]
    assert (tmp_path / "a.json").is_file()
    assert not (tmp_path / "b.json").exists()
    kinds = {j.clip.name: [reason.kind for reason in j.reasons] for j in report.judged}
    assert kinds == {"a.mp4": [], "b.mp4": ["duplicate"], "c.mp4": ["cut"], "d.mp4": ["unusable"]}
    assert report.left_out[Shot(tmp_path / "b.mp4")] == "b.mp4: it looks like a.mp4."
    text = explain_clip(tmp_path / "c.mp4", detector, PrepareSettings())
    assert "left out (cut): it has 1 cut" in text
    again = prepare_clips(tmp_path, OneProcess(detector), None, settings)
    assert [clip.name for clip in again.kept] == ["a.mp4"]
    assert len(prepare_clips(tmp_path, OneProcess(detector), None).written) == 2, (
        "without filters all are taken"
    )
