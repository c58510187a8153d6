"""One server through many prompts: memory, threads and handles stay, every clip is as when run alone.

`SOAK_PROMPTS=100 pytest -n 0 -s tests/comfyui/test_soak.py` is the long run; it prints what it saw.
"""

import importlib
import os
import random
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from comfyui_harness import soak

PROMPTS = int(os.environ.get("SOAK_PROMPTS", "10"))
FIRST = 10 if PROMPTS >= 40 else PROMPTS // 2  # memory is compared with that after this prompt
EVERY = 10 if PROMPTS >= 40 else PROMPTS  # prompts between two presses of "free memory"
harness = importlib.import_module("comfyui_harness.server")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc"),
]


@pytest.fixture
def fresh_server(checkout, product_folder, tmp_path_factory):
    """Makes servers that nobody has used."""

    def make(**options):
        base = tmp_path_factory.mktemp("soak-")
        return harness.ComfyServer(checkout, product_folder, base, pack_name="aa", **options)

    return make


def free(server):
    """What ComfyUI's button "unload models and free memory" sends, twice.

    ComfyUI's worker does not hear of what is asked while it frees or collects: that lies until the
    next prompt has run, unless something asks again.
    """
    for _ in range(2):
        server.post("/free", b'{"unload_models": true, "free_memory": true}')
        used = soak.settled(server.pid)
    return used


def fill_pool(server, name):
    """Have ComfyUI's web server start all its threads, which it does as requests come together."""
    with ThreadPoolExecutor(64) as pool:
        list(pool.map(lambda _: server.get("/view", filename=name, type="input"), range(512)))


@pytest.fixture
def alone(fresh_server):
    """The frames of every kind of prompt, each from a server that ran nothing else."""
    frames = {}
    for name in dict.fromkeys(name for name in soak.order(PROMPTS) if name in soak.GOOD):
        with fresh_server() as server:
            entry = server.run(soak.graph(soak.GOOD[name], 1), timeout=300)
            frames[name] = soak.frames_of(server, entry)
    return frames


def run_prompt(server, name, number, dice, broken):
    """Run one prompt; returns its frames if it is a good one, and checks its end if not."""
    if name in soak.GOOD:
        entry = server.run(soak.graph(soak.GOOD[name], number), timeout=300)
        return soak.frames_of(server, entry)
    if name == "cancel":
        assert soak.cancel(server, number, dice.uniform(0, 4)) == "cancelled"
        return None
    error, graph = soak.bad_graphs(number, broken)[name]
    with pytest.raises(error):
        server.run(graph, timeout=300)
    return None


@pytest.fixture
def note(request):
    """Keep what was seen for the end of pytest's output."""

    def write(lines):
        report = request.config.pluginmanager.get_plugin("terminalreporter")
        if report is not None:
            for number, name, used in lines:
                held = f"{used.rss:7.1f} MB{used.threads:4} threads{used.handles:4} handles"
                report.write_line(f"{number:4} {name:14}{held}")

    return write


def test_many_mixed_prompts_leave_nothing_behind(fresh_server, alone, note):
    dice, names = random.Random(5), soak.order(PROMPTS)
    different, after, freed, lines = [], {}, {}, []
    with fresh_server() as server:
        broken = server.upload("broken.png", b"no picture")
        fill_pool(server, broken)
        for number, name in enumerate(names, 1):
            frames = run_prompt(server, name, number, dice, broken)
            if frames is not None and not np.array_equal(frames, alone[name]):
                different.append((number, name))
            after[number] = soak.settled(server.pid, quiet=0.3)
            lines.append((number, name, after[number]))
            if number % EVERY == 0 or number in (FIRST, PROMPTS):
                freed[number] = free(server)
                lines.append((number, "freed", freed[number]))
        again = server.run(soak.graph(soak.GOOD[name], number))
        assert soak.cached_nodes(again) == []  # all that was kept is gone
        assert np.array_equal(soak.frames_of(server, again), alone[name])
    note(lines)
    assert different == []
    first, last = freed[FIRST], freed[PROMPTS]
    assert last.rss <= first.rss * 1.05 + (0 if PROMPTS >= 40 else 30), (first, last)
    assert last.threads <= first.threads
    assert last.handles <= first.handles + 2
