"""The pack in ComfyUI leaves the process as it was: loading it, and running its nodes."""

import importlib.util
from pathlib import Path

import pytest
from comfyui_harness.small_clip import SETUP

_spec = importlib.util.spec_from_file_location(
    "_global_state", Path(__file__).parents[1] / "systems" / "test_global_state.py"
)
assert _spec is not None
_global_state = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_global_state)
STATE = _global_state.STATE


@pytest.fixture
def changed(in_comfyui):
    """What a snippet changed of the state: name -> (before, after)."""

    def run(before, snippet):
        first, last = in_comfyui(
            f"{before}\n{STATE}\nnoted = state()\n{snippet}\nresult = [noted, state()]\n",
            timeout=600,
        )
        return {name: (first[name], last[name]) for name in first if first[name] != last[name]}

    return run


def test_loading_the_pack_changes_nothing(changed):
    """Loaded a second time under another name: what ComfyUI and libraries do at import is done."""
    again = """
import importlib.util
place = Path(pack.__file__)
spec = importlib.util.spec_from_file_location(
    "the pack again", place, submodule_search_locations=[str(place.parent)])
module = importlib.util.module_from_spec(spec)
sys.modules["the pack again"] = module
spec.loader.exec_module(module)
"""
    assert changed("from pathlib import Path\nimport sys", again) == {}


@pytest.mark.slow
def test_running_nodes_changes_nothing(changed):
    nodes = """
vae = ours("load_vae").LoadVAE.execute("built-in").result[0]
model = make_model()
sample(model, steps=2)
ours("decode_video").decode(vae, torch.zeros(3, vae.latent_channels, 4, 6), 2)
character, frames, keypoints, fps = node(
    (pack.__name__ + ".nodes.builtin_inputs", "BuiltinInputs"), character="character_a", num_frames=2)
try:
    ours("decode_video").decode(vae, torch.zeros(3, 1, 4, 6), 2)
except ValueError:
    pass
"""
    # ComfyUI's sampling seeds torch's generator with the prompt's seed, as for every model
    changes = changed(SETUP, nodes)
    changes.pop("torch's random state", None)
    assert changes == {}
