"""A real picture animated in a real ComfyUI, against the core's own result.

The published pipelines' DDIM is ComfyUI's euler with the scheduler simple, up to ComfyUI's finite
largest sigma (4518.8) at zero terminal SNR: latents agree to about 1.5e-4 (relative L2). Saved frames
add ComfyUI's rounding down to 8 bits.
"""

import io
import json

import numpy as np
import pytest
from comfyui_harness import first_light as line
from PIL import Image
from safetensors.torch import load

LATENTS_AGREE = 1e-3  # relative L2

if not line.MODEL.is_dir():
    pytest.skip("no ../shared/fixtures: nothing to run", allow_module_level=True)


@pytest.fixture(scope="session")
def core():
    return line.core_result(line.core_models())


@pytest.fixture(scope="session")
def names(server):
    return line.install(server)


def frames_of(server, entry):
    files = server.files(entry, "save")
    return np.stack(
        [np.asarray(Image.open(io.BytesIO(server.fetch(f))).convert("RGB")) for f in files]
    )


def latents_of(server, entry):
    file = entry["outputs"]["save_latent"]["latents"][0]
    return load(server.fetch(file))["latent_tensor"]


def relative_l2(actual, expected):
    assert actual.shape == expected.shape
    return ((actual - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("graph", [line.sampler_graph, line.stock_graph])
def test_comfyui_computes_what_the_core_computes(server, names, core, graph):
    entry = server.run(graph(names), timeout=300)
    latents, frames = core
    assert relative_l2(latents_of(server, entry), latents) < LATENTS_AGREE
    saved = frames_of(server, entry).astype(int)
    difference = np.abs(saved - frames.astype(int))
    assert difference.max() <= 3
    assert difference.mean() < 1.0


def test_our_sampler_and_ksampler_are_one(server, names):
    ours = latents_of(server, server.run(line.sampler_graph(names), timeout=300))
    stock = latents_of(server, server.run(line.stock_graph(names), timeout=300))
    assert relative_l2(ours, stock) < 1e-6


def test_the_run_shows_previews_and_progress(server, names):
    graph = line.sampler_graph(names, seed=11)
    with server.listen() as events:
        server.run(graph, timeout=300, client_id=events.client_id)
        events.wait_for(lambda: events.of_type("execution_success"))
        assert len(events.previews) >= 2
        preview = Image.open(io.BytesIO(events.previews[-1].image))
        assert preview.width / preview.height == pytest.approx(line.WIDTH / line.HEIGHT, abs=0.02)
    assert json.dumps(graph)
