"""What belongs to the whole process stays as it was: after import, a call as a library, a command.

Each runs in a process of its own, which notes the state before and after.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STATE = """
import hashlib, json, locale, logging, mimetypes, os, random, signal, sys, threading, warnings
import numpy as np
import torch

mimetypes.init()  # a library may look a type up, and the tables are read then

def shown(value):
    return hashlib.sha256(repr(value).encode()).hexdigest()[:12]

def handlers():
    return {s.name: repr(signal.getsignal(s)) for s in signal.Signals}

def state():
    name, keys, *rest = np.random.get_state()
    root = logging.getLogger()
    return {
        "torch's random state": shown(torch.get_rng_state().tolist()),
        "numpy's random state": shown([name, keys.tolist(), rest]),
        "random's state": shown(random.getstate()),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "tf32": [torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32],
        "cudnn": [torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic],
        "matmul precision": torch.get_float32_matmul_precision(),
        "attention kernels": [torch.backends.cuda.flash_sdp_enabled(),
                              torch.backends.cuda.math_sdp_enabled()],
        "threads": [torch.get_num_threads(), torch.get_num_interop_threads()],
        "dtype": str(torch.get_default_dtype()),
        "device": str(torch.empty(0).device),
        "gradients": [torch.is_grad_enabled(), torch.is_inference_mode_enabled()],
        "printing": str(np.get_printoptions()),
        "numpy's errors": str(np.geterr()),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "logging": [root.level, [repr(h) for h in root.handlers], logging.root.manager.disable],
        "warnings": [  # libraries add filters of their own kinds of warnings when they load
            str(entry) for entry in warnings.filters
            if entry[1] is None and entry[2].__module__ == "builtins"
        ],
        "signals": handlers(),
        "locale": locale.setlocale(locale.LC_ALL),
        "path": list(sys.path),
        "hooks": [repr(sys.excepthook), repr(threading.excepthook), repr(sys.displayhook)],
        "recursion": sys.getrecursionlimit(),
        "types of files": shown(sorted(mimetypes.types_map.items())),
        "output": [repr(sys.stdout), repr(sys.stderr)],
        "threads that run": sorted(t.name for t in threading.enumerate() if not t.daemon),
    }
"""
#: What these do when they are imported is theirs.
LIBRARIES = """
import torch, diffusers, transformers, av, cv2
from diffusers import AutoencoderKL, AutoencoderTiny, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPVisionModelWithProjection
"""
RUN = """
import sys
model, picture, video, output = sys.argv[1:5]
"""
PARTS = {
    "import": (
        LIBRARIES,
        "import animate_anyone_core.animate, animate_anyone_core.checkpoints.model_folder\n"
        "import animate_anyone_core.commands.animate, animate_anyone_core.pose.detection",
    ),
    "call": (
        LIBRARIES + RUN,
        """
from animate_anyone_core.animate import AnimateSettings, animate
from animate_anyone_core.checkpoints.model_folder import load_models
from animate_anyone_core.images import read_picture
from animate_anyone_core.video import read_video
models, _ = load_models(model)
settings = AnimateSettings.for_model(models, width=32, height=40, num_inference_steps=2, seed=1)
frames = read_video(video, 2).frames
assert len(list(animate(models, read_picture(picture), frames, settings))) == 2
""",
    ),
    "command": (
        LIBRARIES + RUN,
        """
from animate_anyone_core.__main__ import main
assert main(["animate", "--reference", picture, "--poses", video, "--models", model, "--output",
             output, "--width", "32", "--height", "40", "--steps", "1", "--max-frames", "2"]) == 0
assert main(["animate", "--reference", "nothing", "--poses", video, "--output", output]) == 2
""",
    ),
}


def changes(tmp_path, part, files=()):
    """What a part changed of the state: name -> (before, after)."""
    before, snippet = PARTS[part]
    result = tmp_path / "state.json"
    code = f"{before}\n{STATE}\nnoted = state()\n{snippet}\n"
    code += f"Path({str(result)!r}).write_text(json.dumps([noted, state()]))\n"
    done = subprocess.run(
        [sys.executable, "-c", f"from pathlib import Path\n{code}", *map(str, files)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, last = json.loads(result.read_text())
    return {name: (first[name], last[name]) for name in first if first[name] != last[name]}


@pytest.mark.slow
def test_importing_changes_nothing(tmp_path):
    assert changes(tmp_path, "import") == {}


@pytest.mark.slow
@pytest.mark.parametrize("part", ["call", "command"])
def test_running_changes_nothing(tmp_path, model_folder, part):
    import numpy as np
    from PIL import Image

    from animate_anyone_core.video import write_video

    picture, video = tmp_path / "a.png", tmp_path / "a.mp4"
    pixels = np.random.default_rng(0).integers(0, 256, (3, 40, 32, 3)).astype(np.uint8)
    Image.fromarray(pixels[0]).save(picture)
    write_video(video, pixels, 12)
    changed = changes(tmp_path, part, [model_folder, picture, video, tmp_path / "out.mp4"])
    if part == "command":  # a program of its own says where its lines go
        changed.pop("logging")
    assert changed == {}
