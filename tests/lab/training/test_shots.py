"""Films are cut at cuts, dissolves and fades, and neither at flashes nor in motion."""

import numpy as np
import pytest

from animate_anyone_core.lab.training.data_room.shots import SIDE, find_shots

LEAST = 18.0
LONG = 24


def scene(seed: int, count: int = LONG, speed: float = 0.0) -> np.ndarray:
    """(F, SIDE, SIDE, 3): a picture with a bright square that goes about, and noise; it may pan."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(20, 220, (1, SIDE // 4, SIDE // 2, 3))
    wide = coarse.repeat(4, axis=1).repeat(4, axis=2)
    frames = []
    for number in range(count):
        whole, part = divmod(number * speed, 1)
        near, far = (np.roll(wide[0], int(whole) + more, axis=1)[:, :SIDE] for more in (0, 1))
        frame = near * (1 - part) + far * part
        left = 4 + number % 16
        frame[10:20, left : left + 6] += 60
        frames.append(frame + rng.normal(0, 1, frame.shape))
    return np.stack(frames)


def mixed(one: np.ndarray, other: np.ndarray, long: int) -> np.ndarray:
    share = (np.arange(1, long + 1) / (long + 1))[:, None, None, None]
    between = one[-long:] * (1 - share) + other[:long] * share
    return np.concatenate([one[:-long], between, other[long:]])


def shots(frames: np.ndarray) -> list[tuple[int, int]]:
    return [tuple(shot) for shot in find_shots(frames.clip(0, 255).astype(np.uint8), LEAST)]


def test_cuts_are_found_to_the_frame():
    film = np.concatenate([scene(1), scene(2, 9), scene(3)])
    assert shots(film) == [(0, LONG), (LONG, LONG + 9), (LONG + 9, 2 * LONG + 9)]
    assert shots(scene(1)) == [(0, LONG)]
    assert shots(scene(1, 1)) == [(0, 1)]


@pytest.mark.parametrize("long", [1, 3, 6, 10, 16])
def test_frames_of_a_dissolve_belong_to_no_shot(long):
    film = mixed(scene(1, 30), scene(2, 30), long)
    (start, end), (begin, stop) = shots(film)
    assert (start, stop) == (0, len(film))
    assert abs(end - (30 - long)) <= 2
    assert abs(begin - 30) <= 2


def test_a_long_dissolve_is_found_by_parts_of_it():
    film = mixed(scene(1, 90), scene(2, 90), 60)
    (_, end), (begin, _) = shots(film)
    assert -8 <= end - 30 <= 4
    assert -4 <= begin - 90 <= 8


def test_a_fade_through_black_parts_two_shots():
    dark = np.zeros((3, SIDE, SIDE, 3))
    film = np.concatenate(
        [mixed(scene(1, 30), np.repeat(dark, 3, 0), 6), mixed(dark, scene(2, 30), 3)]
    )
    found = shots(film)
    assert len(found) == 2
    assert abs(found[0][1] - 24) <= 1


@pytest.mark.parametrize("light", [(1.0,), (1.0, 1.0), (0.8, 1.0, 0.7), (1.0, 0.75, 0.5, 0.25)])
def test_a_flash_is_no_cut(light):
    film = scene(1, 40)
    for number, share in enumerate(light, start=20):
        film[number] = film[number] * (1 - share) + 255 * share
    assert shots(film) == [(0, 40)]


def test_a_flash_soon_after_a_cut_does_not_hide_it():
    film = np.concatenate([scene(1), scene(2)])
    film[LONG + 4] = 255
    assert shots(film) == [(0, LONG), (LONG, 2 * LONG)]


@pytest.mark.parametrize("speed", [0.5, 1.0, 3.0])
def test_a_camera_that_pans_cuts_nothing(speed):
    assert shots(scene(1, 60, speed)) == [(0, 60)]


def test_a_look_elsewhere_of_a_few_frames_is_no_shot_of_its_own():
    film = np.concatenate([scene(1), scene(2, 3), scene(3)])
    assert shots(film) == [(0, LONG), (LONG + 3, 2 * LONG + 3)]


def test_a_long_film_is_cut_like_a_short_one():
    """Changes are computed in chunks, whose borders are nowhere seen."""
    lengths = [700, 1345, 3, 1350, 900]
    scenes = (np.resize(scene(5 + i, 16), (long, SIDE, SIDE, 3)) for i, long in enumerate(lengths))
    film = np.concatenate(list(scenes))
    ends = np.cumsum(lengths)
    wanted = [(0, 700), (700, 2045), (2048, int(ends[3])), (int(ends[3]), int(ends[4]))]
    assert shots(film) == wanted
