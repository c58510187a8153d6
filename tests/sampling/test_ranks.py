"""Processes that share a clip: every window once, the same latents in each."""

import os
import threading

import pytest
import torch
from torch.testing import assert_close

from animate_anyone_core.errors import SettingsError
from animate_anyone_core.sampling.blending import Blend
from animate_anyone_core.sampling.denoise import denoise, make_noise
from animate_anyone_core.sampling.ranks import ALONE, Ranks, joined, launched
from animate_anyone_core.sampling.schedule import NoiseSchedule, make_solver
from animate_anyone_core.sampling.windows import WindowSettings


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("num_windows", [1, 2, 3, 8])
@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("splits_halves", [False, True])
def test_every_half_of_every_window_is_predicted_once(count, num_windows, rows, splits_halves):
    windows = [[3 * n, 3 * n + 1] for n in range(num_windows)]
    shares = [
        Ranks(number, count).tasks(windows, rows, splits_halves=splits_halves)
        for number in range(count)
    ]
    done = [
        (window[0] // 3, half)
        for share in shares
        for window, part in share
        for half in (range(rows) if part is None else [part])
    ]
    assert sorted(done) == [(n, half) for n in range(num_windows) for half in range(rows)]
    busy = sum(1 for share in shares if share)
    possible = num_windows * (rows if splits_halves and num_windows < count else 1)
    assert busy == min(count, possible)


class Threads(Ranks):
    """Ranks that are threads of this process: they meet to add up."""

    def add_up(self, *parts):
        for part in parts:
            meeting["parts"][self.number] = part
            meeting["barrier"].wait()
            total = torch.stack([meeting["parts"][n] for n in range(self.count)]).sum(0)
            meeting["barrier"].wait()
            part.copy_(total)


meeting = {}


def by_frame(latents, t, window, with_unconditional, half=None):
    conditional = torch.tanh(latents) + 0.01 * float(t) + torch.tensor(window)[:, None, None]
    both = torch.cat([0.5 * conditional, conditional])
    if half is not None:
        return both[half : half + 1]
    return both if with_unconditional else conditional


def run(frames, ranks=ALONE, predict=by_frame, guidance=2.5, **more):
    return denoise(
        predict,
        make_noise(frames, 4, 2, 3, torch.Generator().manual_seed(0)),
        make_solver(NoiseSchedule(), "euler-ancestral"),
        num_inference_steps=3,
        guidance_scale=guidance,
        windows=WindowSettings(context_frames=4, context_overlap=2),
        generator=torch.Generator().manual_seed(1),
        ranks=ranks,
        **more,
    )


@pytest.mark.parametrize(("frames", "count"), [(9, 2), (9, 3), (4, 2), (4, 4), (6, 3)])
@pytest.mark.parametrize(
    "how", [{}, {"guidance": 1.0}, {"guided_from": 0.5}, {"splits_halves": False}]
)
def test_all_get_what_one_alone_gets(frames, count, how):
    meeting.update(barrier=threading.Barrier(count, timeout=60), parts={})
    results = {}
    asked = {number: [] for number in range(count)}

    def work(number):
        def predict(latents, t, window, *rest, **more):
            asked[number].append((window, more.get("half")))
            return by_frame(latents, t, window, *rest, **more)

        results[number] = run(frames, Threads(number, count), predict, **how)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = run(frames, **how)
    for number in range(count):
        assert_close(results[number], alone, rtol=1e-5, atol=1e-5)
        assert torch.equal(results[number], results[0])
    if frames == 9 and count == 2:  # four windows
        assert len(asked[0]) == len(asked[1])


def test_progress_ends_where_the_share_ends():
    told = []
    meeting.update(barrier=threading.Barrier(1), parts={})
    run(9, Threads(0, 1), on_step=lambda done, total: told.append((done, total)))
    assert told == [(n + 1, 12) for n in range(12)]


def test_one_row_is_blended_alone():
    blend = Blend(torch.zeros(2, 1, 3, 1, 1))
    blend.add(torch.full((1, 1, 2, 1, 1), 6.0), [0, 1], torch.tensor([1.0, 2.0]), 0)
    blend.add(torch.full((1, 1, 2, 1, 1), 3.0), [1, 2], torch.tensor([1.0, 2.0]), 0)
    blend.add(torch.full((1, 1, 3, 1, 1), 2.0), [0, 1, 2], torch.ones(3), 1)
    assert blend.take(range(3)).flatten().tolist() == [6, 5, 3, 2, 2, 2]


@pytest.mark.parametrize(
    ("rank", "size", "expected"),
    [("1", "4", Ranks(1, 4)), ("4", "4", ALONE), ("x", "4", ALONE), (None, None, ALONE)],
)
def test_a_launcher_tells(monkeypatch, rank, size, expected):
    for name, value in (("RANK", rank), ("WORLD_SIZE", size)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert launched() == expected


def test_processes_that_do_not_find_each_other_are_told(monkeypatch):
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert "MASTER_ADDR" not in os.environ
    with (
        pytest.raises(SettingsError, match="they do not find each other"),
        joined(Ranks(0, 2), torch.device("cpu")),
    ):
        pass
