"""ComfyUI's web page in a headless Chromium, cut off from every other machine."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

VIEWPORT = {"width": 1920, "height": 1080}
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Workflow.ShowMissingModelsWarning": True,
    "Comfy.Validation.Workflows": True,
}
# Milliseconds; on a busy machine the page takes long to come.
PATIENCE = 180_000
READY = "() => window.app?.graph && window.app?.extensionManager?.setting && window.LiteGraph"
# What the page says of things that are not there on purpose: other machines, and files that any
# ComfyUI lacks until a user makes them.
NOT_OURS = re.compile(
    r"ERR_FAILED|ERR_BLOCKED|ERR_INTERNET|Failed to load resource|Failed to fetch|NetworkError"
    r"|Content Security Policy|Refused to connect"
    r"|user\.css|api\.comfy\.org|googleapis|firebase|sentry",
    re.IGNORECASE,
)


class NoBrowserError(RuntimeError):
    """There is no Chromium or no Playwright; the message says what to install."""


def find_chromium() -> str:
    """The browser named in CHROMIUM, or one of the system's.

    Raises:
        NoBrowserError: If there is none.
    """
    found = [os.environ.get("CHROMIUM"), *map(shutil.which, NAMES)]
    for path in filter(None, found):
        return path
    raise NoBrowserError("no Chromium: `apt-get install chromium`, or name one in CHROMIUM")


@contextmanager
def open_browser() -> Iterator[Any]:
    """A running Chromium.

    Raises:
        NoBrowserError: If there is none, or no Playwright.
    """
    path = find_chromium()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise NoBrowserError("no Playwright: `pip install playwright`") from error
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class ComfyPage:
    """One tab with ComfyUI's page, in a fresh profile."""

    def __init__(self, browser: Any, port: int, locale: str = "en") -> None:
        """Open the page of a server on this machine and wait until it can be used."""
        self.address = f"http://127.0.0.1:{port}"
        self.errors: list[str] = []
        self.context = browser.new_context(viewport=VIEWPORT, locale="en-US")
        self.context.route(re.compile(".*"), self._only_ours)
        self.page = self.context.new_page()
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))
        self._load()
        settings = {**SETTINGS, "Comfy.Locale": locale}
        self.page.evaluate(
            """async settings => {
                for (const [key, value] of Object.entries(settings))
                    await window.app.extensionManager.setting.set(key, value);
            }""",
            settings,
        )
        self._load()  # languages and the tutorial are looked at when the page starts
        self.errors.clear()

    def _only_ours(self, route: Any) -> None:
        if route.request.url.startswith((self.address, "data:", "blob:")):
            route.continue_()
        else:
            route.abort()

    def _note(self, message: Any) -> None:
        if message.type == "error" and not NOT_OURS.search(message.text):
            self.errors.append(message.text)

    def _load(self) -> None:
        self.page.goto(self.address, wait_until="domcontentloaded", timeout=PATIENCE)
        self.page.wait_for_function(READY, timeout=PATIENCE)
        self.page.wait_for_timeout(1500)  # extensions finish their setup

    def close(self) -> None:
        """Close the tab and its profile."""
        self.context.close()

    def press(self, key: str, times: int = 1) -> None:
        """Press a key."""
        for _ in range(times):
            self.page.keyboard.press(key)
            self.page.wait_for_timeout(100)

    def run(self, command: str) -> None:
        """Run a command of ComfyUI's menu, such as Comfy.BrowseTemplates."""
        self.page.evaluate("id => window.app.extensionManager.command.execute(id)", command)
        self.page.wait_for_timeout(500)

    def open_workflow(self, workflow: dict[str, Any]) -> dict[str, Any]:
        """Open a workflow as a file dropped on the page is; returns what the page makes of it.

        Returns:
            `nodes`: the graph as the page would save it; `unknown`: types it does not know;
            `red`: titles of nodes drawn as broken.
        """
        self.page.evaluate("() => window.app.extensionManager.toast.removeAll()")
        self.page.evaluate("async graph => { await window.app.loadGraphData(graph) }", workflow)
        self.page.wait_for_timeout(800)
        self.run("Comfy.Canvas.FitView")
        self.page.wait_for_timeout(500)
        return self.page.evaluate(
            """() => {
                const known = window.LiteGraph.registered_node_types;
                const nodes = window.app.graph.nodes ?? window.app.graph._nodes;
                return {
                    nodes: window.app.graph.serialize().nodes.map(n => ({
                        id: n.id, type: n.type, values: n.widgets_values ?? [],
                    })),
                    unknown: nodes.map(n => n.type).filter(type => !known[type]),
                    red: nodes.filter(n => n.has_errors).map(n => n.title),
                };
            }"""
        )

    def set_values(self, values: dict[str, Any], cut: bool = False) -> None:
        """Set all settings of these names, those inside subgraphs too.

        Args:
            values: Name -> value.
            cut: Cut wires that set them; otherwise what a wire sets is left alone.
        """
        self.page.evaluate(
            """([values, cut]) => {
                const visit = graph => {
                    for (const node of graph.nodes ?? graph._nodes) {
                        for (const widget of node.widgets ?? []) {
                            const name = widget.name.replace(/^\\d+: /, "");
                            const slot = node.inputs?.find(i => i.widget?.name === widget.name);
                            if (!(name in values) || (slot?.link != null && !cut)) continue;
                            if (slot?.link != null) node.disconnectInput(node.inputs.indexOf(slot));
                            widget.value = values[name];
                            widget.callback?.(widget.value);
                        }
                        if (node.subgraph) visit(node.subgraph);
                    }
                };
                visit(window.app.graph);
            }""",
            [values, cut],
        )

    def press_run(self) -> str:
        """Press the button Run, of the graph or of App mode; returns the id of what was queued."""
        words = re.compile(r"^\s*Run\s*$")
        button = self.page.locator("button:visible").filter(has_text=words).last
        with self.page.expect_response(re.compile("/prompt$"), timeout=PATIENCE) as answer:
            button.click(timeout=PATIENCE)
        reply = answer.value.json()
        assert "prompt_id" in reply, reply
        return reply["prompt_id"]

    def open_app(self) -> bool:
        """Show the open workflow as a form; False where the page knows no App mode."""
        try:
            self.run("Comfy.ToggleLinear")
            self.page.get_by_test_id("linear-widgets").wait_for(timeout=5000)
        except Exception:
            return False
        self.page.wait_for_timeout(1000)
        skip = self.page.get_by_role("button", name="Skip")
        if skip.count():
            skip.first.click()
        return True

    def fill_in_app(self, setting: str, text: str) -> None:
        """Type into a field of the form."""
        item = self.page.get_by_test_id("app-mode-widget-item").filter(has_text=setting)
        field = item.locator("input").first
        field.fill(text, timeout=PATIENCE)
        field.press("Enter")

    def draw_nodes(self, as_html: bool) -> None:
        """Let the page draw nodes itself (newer pages), or on its canvas."""
        self.page.evaluate(
            "on => window.app.extensionManager.setting.set('Comfy.VueNodes.Enabled', on)", as_html
        )
        self._load()
        self.errors.clear()

    def overlapping_html_nodes(self) -> list[list[str]]:
        """Pairs of nodes that the page draws itself and that lie on each other, by title."""
        return self.page.evaluate(
            """() => {
                const scale = window.app.canvas.ds.scale;
                const boxes = [...document.querySelectorAll("[data-node-id]")].map(element => {
                    const parts = [element, ...element.querySelectorAll("button")];
                    const rects = parts.map(e => e.getBoundingClientRect());
                    const title = window.app.graph.getNodeById(Number(element.dataset.nodeId))?.title;
                    return [title, element.getBoundingClientRect(),
                            Math.max(...rects.map(r => r.bottom)) - 2 * scale];
                });
                const pairs = [];
                boxes.forEach(([a, r, bottom], i) => boxes.forEach(([b, s, other], j) => {
                    if (i < j && r.left < s.right && s.left < r.right && r.top < other && s.top < bottom)
                        pairs.push([a, b]);
                }));
                return pairs;
            }"""
        )

    def messages(self) -> list[str]:
        """Warnings and errors that the page shows in a corner."""
        found = self.page.locator(".p-toast-message-warn, .p-toast-message-error")
        return [text for text in found.all_inner_texts() if not NOT_OURS.search(text)]

    def overlapping_nodes(self) -> list[list[str]]:
        """Pairs of nodes of the open graph that lie on each other, by title."""
        return self.page.evaluate(
            """() => {
                const nodes = window.app.graph.nodes ?? window.app.graph._nodes;
                const boxes = nodes.map(n => {
                    const needed = n.computeSize?.() ?? n.size;
                    return [
                        n.pos[0], n.pos[1] - 30,
                        n.type.startsWith("AnimateAnyone_") ? Math.max(n.size[0], needed[0]) : n.size[0],
                        30 + Math.max(n.size[1], needed[1]),
                    ];
                });
                const pairs = [];
                boxes.forEach((a, i) => boxes.forEach((b, j) => {
                    if (i < j && a[0] < b[0] + b[2] && b[0] < a[0] + a[2]
                        && a[1] < b[1] + b[3] && b[1] < a[1] + a[3])
                        pairs.push([nodes[i].title, nodes[j].title]);
                }));
                return pairs;
            }"""
        )

    def settings_of(self, node_id: int) -> list[str]:
        """Names of the settings that a node shows; older pages put an inner node's id before them."""
        return self.page.evaluate(
            """id => {
                const graph = window.app.graph;
                const node = graph.getNodeById(id) ?? graph.getNodeById(String(id));
                return node.widgets.map(w => w.name.replace(/^\\d+: /, ""))
                    .filter(name => name !== "control_after_generate");
            }""",
            node_id,
        )

    def zoom(self) -> float:
        """How large the open graph is drawn; below 0.6 the page draws no text."""
        return self.page.evaluate("() => window.app.canvas.ds.scale")

    def wires_under_nodes(self) -> list[list[str]]:
        """Wires that the page draws under nodes they do not belong to: [from, to, under], by title."""
        return self.page.evaluate(
            """() => {
                const graph = window.app.graph, nodes = graph.nodes ?? graph._nodes;
                const links = [...(graph.links?.values?.() ?? graph._links.values())];
                const pen = document.createElement("canvas").getContext("2d");
                pen.lineWidth = 3;
                const found = [];
                for (const link of links) {
                    const from = graph.getNodeById(link.origin_id);
                    const to = graph.getNodeById(link.target_id);
                    const through = [];
                    for (let id = link.parentId; id != null; id = graph.reroutes.get(id)?.parentId)
                        through.push(graph.reroutes.get(id));
                    const paths = [link.path, ...through.map(r => r?.path)].filter(p => p);
                    for (const node of nodes) {
                        if (node === from || node === to) continue;
                        const [x, y] = [node.pos[0], node.pos[1] - 30];
                        const [w, h] = [node.size[0], node.size[1] + 30];
                        let under = false;
                        for (let i = 4; i < w - 4 && !under; i += 4)
                            for (const j of [4, h / 3, h / 2, 2 * h / 3, h - 4])
                                under ||= paths.some(p => pen.isPointInStroke(p, x + i, y + j));
                        for (let j = 4; j < h - 4 && !under; j += 4)
                            for (const i of [4, w / 3, w / 2, 2 * w / 3, w - 4])
                                under ||= paths.some(p => pen.isPointInStroke(p, x + i, y + j));
                        if (under) found.push([from?.title, to?.title, node.title]);
                    }
                }
                return found;
            }"""
        )

    def nodes_outside_groups(self) -> list[str]:
        """Titles of nodes, notes aside, that no group holds as they are drawn now."""
        return self.page.evaluate(
            """() => {
                const graph = window.app.graph, nodes = graph.nodes ?? graph._nodes;
                const groups = (graph.groups ?? graph._groups).map(g => [...g.pos, ...g.size]);
                return nodes.filter(n => n.type !== "MarkdownNote" && !groups.some(([x, y, w, h]) =>
                    x <= n.pos[0] && y <= n.pos[1] - 30
                    && n.pos[0] + n.size[0] <= x + w && n.pos[1] + n.size[1] <= y + h)
                ).map(n => n.title);
            }"""
        )

    def help_of(self, node_id: str) -> dict[str, Any]:
        """Select the graph's node of a type and press its info button: what the panel shows."""
        self.page.evaluate(
            """type => {
                const nodes = window.app.graph.nodes ?? window.app.graph._nodes;
                window.app.canvas.selectNode(nodes.find(n => n.type === type));
                window.app.canvas.setDirty(true, true);
            }""",
            node_id,
        )
        self.page.get_by_test_id("info-button").click(timeout=PATIENCE)
        panel = self.page.locator(".node-help-content").first
        panel.locator("h2").first.wait_for(timeout=PATIENCE)
        self.page.wait_for_timeout(1500)
        pictures = panel.locator("img").evaluate_all(
            "all => all.map(i => ({address: i.src, width: i.naturalWidth}))"
        )
        return {"text": panel.inner_text(), "pictures": pictures}

    def choose_template_source(self, pack: str) -> None:
        """In the template browser, choose a pack's own workflows."""
        start = pack[: len(pack) // 2]  # long names are cut in the list
        source = self.page.get_by_text(re.compile(re.escape(start))).last
        source.click(timeout=PATIENCE)
        self.page.wait_for_timeout(1500)

    def words_on(self, node_id: str) -> dict[str, Any]:
        """What a new node of this type says of itself."""
        return self.page.evaluate(
            """type => {
                const node = window.LiteGraph.createNode(type);
                const ours = (node.widgets ?? []).filter(w => w.name !== "control_after_generate");
                return {
                    title: node.title,
                    outputs: node.outputs.map(o => o.label ?? o.localized_name ?? o.name),
                    widgets: ours.map(w => w.label ?? w.name),
                };
            }""",
            node_id,
        )

    def screenshot(self, path: Path) -> None:
        """Save what is seen."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(path))
