"""Film the README's moving picture in a real ComfyUI: `python docs/make_moving_picture.py`.

ComfyUI runs on the CPU with this pack, Chromium opens the shipped workflow `animate_from_video` and
presses Run; the camera follows the node that is running, then the result plays in its node, then beside
what it was made from. Waiting is cut out: a step of the sampler is one picture, however long it took.

Needs what `tests/comfyui/test_browser.py` needs: a ComfyUI checkout (COMFYUI_PATH, or ~/ComfyUI), a
Python with its requirements (COMFYUI_PYTHON, or this one), Chromium, and Playwright and PyAV in this
Python. An argument names a folder to keep every frame in as PNG: look at them.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from PIL import Image, ImageChops, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))  # the harness of the browser tests

from comfyui.browser import ComfyPage, open_browser  # noqa: E402
from comfyui.server import Checkout, ComfyServer  # noqa: E402

PICTURE = ROOT / "docs" / "in_comfyui.webp"
LIMIT_BYTES = 3_000_000
WORKFLOW = "animate_from_video"
PACK_NAME = "comfyui-animate-anyone"
SIZE = {"width": 1000, "height": 620}
# Where ComfyUI's own bars leave the canvas free, in pixels of the page.
FREE = {"left": 66, "top": 100, "right": 8, "bottom": 12}
SETTINGS = {
    "Comfy.Minimap.Visible": False,
    "Comfy.Graph.CanvasInfo": False,
    "Comfy.Graph.CanvasMenu": False,
    "Comfy.NodeBadge.NodeSourceBadgeMode": "None",
    "LiteGraph.Canvas.MinFontSizeForLOD": 0,  # words also where the whole graph is seen
}
MILLISECONDS = {"overview": 1400, "running": 160, "playing": 83, "end": 900}
GLIDE = 0.65  # share of the way to its target that the camera goes from picture to picture
WIDE = 1000.0  # of the graph, that the camera sees when it looks at a node
HIGH = WIDE * 0.55
PROGRESS_PARTS = 20  # pictures of a node's progress, at most
PATIENCE_SECONDS = 540
PAPER, INK = (32, 32, 36), (225, 225, 230)
PANEL = 238
FRAMES_PER_SECOND = 12  # of the shipped driving video, and so of the result
TITLE = "The result beside what it was made from"
NOTE = "The small built-in model, 128 x 128 pixels"

PREPARE_PAGE = """() => {
    window.seenRun = {node: null, part: 0, ended: false};
    const api = window.app.api;
    api.addEventListener("executing", e => {
        window.seenRun.node = e.detail?.node ?? e.detail ?? null;
    });
    api.addEventListener("progress", e => {
        window.seenRun.part = Math.floor(PARTS * e.detail.value / e.detail.max);
    });
    api.addEventListener("execution_success", () => { window.seenRun.ended = true; });
    api.addEventListener("execution_error", e => {
        window.seenRun.ended = true; window.seenRun.error = e.detail?.exception_message;
    });
}"""
OPEN = """async ([graph, name, settings]) => {
    for (const [key, value] of Object.entries(settings))
        await window.app.extensionManager.setting.set(key, value);
    await window.app.loadGraphData(graph, true, true, name);
}"""
LOOK_AT = """([left, top, width, height, free]) => {
    const canvas = window.app.canvas, view = canvas.ds;
    const room = [window.innerWidth - free.left - free.right,
                  window.innerHeight - free.top - free.bottom];
    view.scale = Math.min(room[0] / width, room[1] / height);
    view.offset[0] = -left + (free.left + (room[0] - width * view.scale) / 2) / view.scale;
    view.offset[1] = -top + (free.top + (room[1] - height * view.scale) / 2) / view.scale;
    canvas.setDirty(true, true);
}"""
WHERE = """id => {
    const node = window.app.graph.getNodeById(id);
    return [...node.pos, ...node.size];
}"""
SHOW_MOMENT = """async seconds => {
    const video = [...document.querySelectorAll("video")].at(-1);
    video.pause(); video.controls = false;
    await new Promise(done => {
        video.addEventListener("seeked", done, {once: true});
        video.currentTime = seconds;
    });
}"""

Box = tuple[float, float, float, float]


@dataclass
class Film:
    """Pictures and how long each is seen."""

    pictures: list[Image.Image]
    durations: list[int]

    def add(self, picture: Image.Image, milliseconds: int) -> None:
        """Append a picture; one that shows nothing new prolongs the last instead."""
        if self.pictures and not ImageChops.difference(picture, self.pictures[-1]).getbbox():
            self.durations[-1] += milliseconds
            return
        self.pictures.append(picture)
        self.durations.append(milliseconds)

    def save(self, path: Path) -> None:
        """Write an animated WebP that repeats for ever."""
        first, *rest = self.pictures
        options = {"quality": 72, "method": 3, "kmin": 30, "kmax": 60}
        first.save(
            path, append_images=rest, save_all=True, duration=self.durations, loop=0, **options
        )


class Camera:
    """Looks at a part of the graph, and glides from part to part."""

    def __init__(self, page: ComfyPage, graph: dict[str, Any]) -> None:
        """Start with the whole graph in view."""
        self.page = page
        groups = [group["bounding"] for group in graph["groups"]]
        left, top = min(g[0] for g in groups), min(g[1] for g in groups)
        right, bottom = max(g[0] + g[2] for g in groups), max(g[1] + g[3] for g in groups)
        self.whole: Box = (left, top, right - left, bottom - top)
        self.look(self.whole)

    def around(self, node: str) -> Box:
        """The part with a node in its middle, or with the node's end if it is too high for that."""
        left, top, width, height = self.page.page.evaluate(WHERE, node)
        down = top + height / 2 - HIGH / 2
        if height + 60 > HIGH:
            down = top + height + 20 - HIGH
        return left + width / 2 - WIDE / 2, down, WIDE, HIGH

    def glide(self, target: Box) -> None:
        """Go a part of the way."""
        a, b = self.box, target
        self.look(
            (
                a[0] + GLIDE * (b[0] - a[0]),
                a[1] + GLIDE * (b[1] - a[1]),
                a[2] + GLIDE * (b[2] - a[2]),
                a[3] + GLIDE * (b[3] - a[3]),
            )
        )

    def look(self, box: Box) -> None:
        """Show this part now."""
        self.box = box
        self.page.page.evaluate(LOOK_AT, [*box, FREE])

    def is_there(self, target: Box) -> bool:
        """Whether the camera has come to its target, as far as is seen."""
        return max(abs(a - b) for a, b in zip(self.box, target, strict=True)) < 3

    def picture(self) -> Image.Image:
        """What the page shows."""
        self.page.page.wait_for_timeout(60)
        return Image.open(io.BytesIO(self.page.page.screenshot())).convert("RGB")


def film_the_run(page: ComfyPage, camera: Camera, film: Film) -> None:
    """Press Run and follow the running node until the graph has ended.

    Raises:
        RuntimeError: If a node fails.
        TimeoutError: If it takes longer than PATIENCE_SECONDS.
    """
    page.page.evaluate(PREPARE_PAGE.replace("PARTS", str(PROGRESS_PARTS)))
    page.page.get_by_test_id("queue-button").first.click()
    end = time.monotonic() + PATIENCE_SECONDS
    last_seen: tuple[Any, int] | None = None
    while time.monotonic() < end:
        run = page.page.evaluate("() => window.seenRun")
        if run.get("error"):
            raise RuntimeError(run["error"])
        if run["ended"]:
            return
        seen = run["node"], run["part"]
        target = camera.around(run["node"]) if run["node"] else camera.whole
        moving = not camera.is_there(target)
        if moving:
            camera.glide(target)
        if moving or seen != last_seen:
            film.add(camera.picture(), MILLISECONDS["running"])
            last_seen = seen
        else:
            page.page.wait_for_timeout(80)
    raise TimeoutError(f"The graph did not end within {PATIENCE_SECONDS} s.")


def film_the_result(page: ComfyPage, camera: Camera, film: Film, frames: int) -> None:
    """Glide to the node that shows the video, and let it play."""
    page.page.locator("video").last.wait_for(timeout=60_000)
    page.page.wait_for_timeout(1000)  # the node grows to the video's size
    watch = page.page.evaluate("() => window.app.graph.nodes.find(n => n.type === 'SaveVideo').id")
    for frame in range(frames):
        camera.glide(camera.around(watch))
        page.page.evaluate(SHOW_MOMENT, (frame + 0.5) / FRAMES_PER_SECOND)
        film.add(camera.picture(), MILLISECONDS["playing"])


def frames_of(path: Path) -> list[Image.Image]:
    """A video's frames."""
    with av.open(str(path)) as container:
        return [frame.to_image() for frame in container.decode(video=0)]


def skeletons_of(server: ComfyServer, page: ComfyPage) -> list[Image.Image]:
    """What Draw Pose drew in the run: the same graph again, which ComfyUI answers from its cache."""
    prompt = page.page.evaluate("async () => (await window.app.graphToPrompt()).output")
    drawn = next(key for key, n in prompt.items() if n["class_type"] == "AnimateAnyone_DrawPose")
    keep = {drawn}
    while True:
        used = {
            str(value[0])
            for key in keep
            for value in prompt[key]["inputs"].values()
            if isinstance(value, list)
        }
        if used <= keep:
            break
        keep |= used
    graph = {key: prompt[key] for key in keep}
    graph["preview"] = {"class_type": "PreviewImage", "inputs": {"images": [drawn, 0]}}
    files = server.files(server.run(graph, timeout=PATIENCE_SECONDS), "preview")
    return [Image.open(io.BytesIO(server.fetch(file))).convert("RGB") for file in files]


def beside(columns: dict[str, Image.Image]) -> Image.Image:
    """Pictures in a row on a page of the film's size, with their names above."""
    page = Image.new("RGB", (SIZE["width"], SIZE["height"]), PAPER)
    draw = ImageDraw.Draw(page)
    middle = SIZE["width"] / 2
    draw.text((middle, 90), TITLE, INK, ImageFont.load_default(30), anchor="ms")
    draw.text((middle, SIZE["height"] - 90), NOTE, INK, ImageFont.load_default(19), anchor="ms")
    font = ImageFont.load_default(22)
    gap = (SIZE["width"] - len(columns) * PANEL) // (len(columns) + 1)
    top = (SIZE["height"] - PANEL) // 2
    for index, (name, picture) in enumerate(columns.items()):
        left = gap + index * (PANEL + gap)
        page.paste(picture.resize((PANEL, PANEL), Image.Resampling.BICUBIC), (left, top))
        draw.text((left + PANEL / 2, top - 14), name, INK, font, anchor="ms")
    return page


def result_beside_its_inputs(
    server: ComfyServer, skeletons: list[Image.Image], result: list[Image.Image]
) -> Iterator[Image.Image]:
    """The driving video, the skeletons, the reference and the result, frame by frame."""
    samples = ROOT / "animate_anyone_core" / "builtin" / "samples"
    driving = frames_of(samples / "driving.mp4")
    reference = Image.open(samples / "character_a.png").convert("RGB")
    for drive, skeleton, made in zip(driving, skeletons, result, strict=False):
        yield beside(
            {"reference": reference, "driving video": drive, "skeletons": skeleton, "result": made}
        )


def make_film(server: ComfyServer) -> Film:
    """Open the workflow in the page, run it, and film it all."""
    graph = json.loads((ROOT / "workflows" / f"{WORKFLOW}.json").read_text("utf-8"))
    film = Film([], [])
    with open_browser() as browser:
        page = ComfyPage(browser, server.port)
        page.page.set_viewport_size(SIZE)
        page.page.evaluate(OPEN, [graph, WORKFLOW, SETTINGS])
        page.press("Escape", times=3)
        camera = Camera(page, graph)
        film.add(camera.picture(), MILLISECONDS["overview"])
        film_the_run(page, camera, film)
        result = frames_of(next((server.base / "output").rglob("*.mp4")))
        film_the_result(page, camera, film, len(result) // 2)
        skeletons = skeletons_of(server, page)
        page.close()
    for picture in result_beside_its_inputs(server, skeletons, result):
        film.add(picture, MILLISECONDS["playing"])
    film.durations[-1] += MILLISECONDS["end"]
    return film


def main(arguments: list[str]) -> int:
    """Film it, save it and say how large it became."""
    path = Path(os.environ.get("COMFYUI_PATH", "").split(os.pathsep)[0] or Path.home() / "ComfyUI")
    python = os.environ.get("COMFYUI_PYTHON", "").split(os.pathsep)[0] or sys.executable
    with tempfile.TemporaryDirectory() as base:
        server = ComfyServer(
            Checkout(path.resolve(), python),
            ROOT,
            Path(base),
            arguments=("--preview-method", "latent2rgb"),
            pack_name=PACK_NAME,
        )
        with server:
            film = make_film(server)
    if arguments:
        folder = Path(arguments[0])
        folder.mkdir(parents=True, exist_ok=True)
        for number, picture in enumerate(film.pictures):
            picture.save(folder / f"{number:03}_{film.durations[number]}ms.png")
    film.save(PICTURE)
    size = PICTURE.stat().st_size
    seconds = sum(film.durations) / 1000
    sys.stdout.write(f"{PICTURE.name}: {len(film.pictures)} pictures, {seconds:.0f} s, {size} B\n")
    return int(size > LIMIT_BYTES)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
