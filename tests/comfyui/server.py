"""A real ComfyUI server with the pack installed as a user would, in a throw-away base folder."""

from __future__ import annotations

import json
import mimetypes
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .websocket import Events

# A folder name that no Python import could spell: a dash, a dot, a space, a number.
PACK_FOLDER_NAME = "my-animate.pack 1"
GUARD = Path(__file__).parent / "guard"
LOG_TAIL = 4000


class ServerUnavailableError(RuntimeError):
    """ComfyUI itself cannot run with this Python: a package of its requirements is missing."""


class PromptRejectedError(RuntimeError):
    """The server did not accept a graph; `errors` holds its node_errors."""

    def __init__(self, message: str, errors: dict[str, Any]):
        """Keep the node errors for assertions."""
        super().__init__(message)
        self.errors = errors


class PromptFailedError(RuntimeError):
    """A graph stopped with an error; `details` holds the server's execution_error."""

    def __init__(self, message: str, details: dict[str, Any]):
        """Keep the details for assertions."""
        super().__init__(message)
        self.details = details


@dataclass(frozen=True)
class Checkout:
    """A ComfyUI work tree and the Python that runs it."""

    path: Path
    python: str

    @property
    def version(self) -> str:
        """Version as ComfyUI reports it, or the folder name for very old trees."""
        source = self.path / "comfyui_version.py"
        found = re.search(r'__version__ = "(.+)"', source.read_text()) if source.is_file() else None
        return found[1] if found else self.path.name


def install_pack(pack: Path, custom_nodes: Path, name: str = PACK_FOLDER_NAME) -> Path:
    """Put the pack under custom_nodes: linked, or copied where links are not allowed."""
    custom_nodes.mkdir(parents=True, exist_ok=True)
    target = custom_nodes / name
    try:
        target.symlink_to(pack, target_is_directory=True)
    except OSError:
        shutil.copytree(pack, target, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    return target


def process_environment(audit_file: Path) -> dict[str, str]:
    """Environment of a ComfyUI process: guarded, unbuffered, modest with threads."""
    environment = dict(os.environ)
    paths = [str(GUARD), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    environment["PYTHONUNBUFFERED"] = "1"
    environment["ANIMATE_ANYONE_AUDIT"] = str(audit_file)
    environment.setdefault("OMP_NUM_THREADS", "1")
    return environment


def free_port() -> int:
    """A loopback port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class ComfyServer:
    """One running server; `start` and `stop` it, or use it as a context manager.

    Args:
        checkout: ComfyUI to run.
        pack: Folder of the node pack, or None for a server without it.
        base: Empty folder that becomes ComfyUI's base directory.
        cpu: Start with --cpu; False lets ComfyUI choose a device.
        arguments: More command line arguments.
        pack_name: Name of the pack's folder in custom_nodes.
    """

    checkout: Checkout
    pack: Path | None
    base: Path
    cpu: bool = True
    arguments: tuple[str, ...] = ()
    pack_name: str = PACK_FOLDER_NAME
    boot_seconds: float = field(default=0.0, init=False)
    boot_log: str = field(default="", init=False)
    port: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Lay out the base folder and install the pack."""
        self.base = self.base.resolve()
        for name in ("custom_nodes", "models", "input", "output", "temp", "user"):
            (self.base / name).mkdir(parents=True, exist_ok=True)
        self.audit_file = self.base / "audit.jsonl"
        self.log_file = self.base / "server.log"
        self.installed_pack = (
            install_pack(self.pack, self.base / "custom_nodes", self.pack_name)
            if self.pack
            else None
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._object_info: dict[str, Any] | None = None
        # Never through a proxy: everything is on this machine.
        self._http = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def __enter__(self) -> ComfyServer:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    # ---- the process ----

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def log(self) -> str:
        """Everything the server has printed so far."""
        return self.log_file.read_text(errors="replace") if self.log_file.is_file() else ""

    @property
    def audit(self) -> list[dict[str, Any]]:
        """Notes of guard/sitecustomize.py: attempts to reach other machines, started programs."""
        if not self.audit_file.is_file():
            return []
        return [json.loads(line) for line in self.audit_file.read_text().splitlines()]

    def start(self, timeout: float = 180.0) -> None:
        """Start the server and return when it answers.

        Raises:
            ServerUnavailableError: If ComfyUI's own imports fail; the message names the module.
            RuntimeError: If it stops for another reason; the message ends with its log.
            TimeoutError: If it does not answer in time.
        """
        begin = time.monotonic()
        self.port = free_port()
        environment = process_environment(self.audit_file)
        environment["ANIMATE_ANYONE_ENDS_WITH_STDIN"] = "1"
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [self.checkout.python, "main.py", *self._arguments()],
                cwd=self.checkout.path,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        while not self._answers():
            if self._process.poll() is not None:
                self._explain_exit()
            if time.monotonic() - begin > timeout:
                self.stop()
                raise TimeoutError(
                    f"ComfyUI {self.checkout.version} did not answer within {timeout:.0f} s:\n"
                    f"{self.log[-LOG_TAIL:]}"
                )
            time.sleep(0.1)
        self.boot_seconds, self.boot_log = time.monotonic() - begin, self.log

    def _arguments(self) -> list[str]:
        arguments = ["--listen", "127.0.0.1", "--port", str(self.port), "--disable-auto-launch"]
        arguments += ["--disable-api-nodes", "--base-directory", str(self.base)]
        arguments += ["--database-url", "sqlite:///:memory:", *self.arguments]
        return [*arguments, "--cpu"] if self.cpu else arguments

    def _answers(self) -> bool:
        try:
            self.get("/system_stats", timeout=5)
        except (OSError, urllib.error.URLError):
            return False
        return True

    def _explain_exit(self) -> None:
        missing = re.search(r"^(?:ModuleNotFoundError|ImportError): .*$", self.log, re.MULTILINE)
        if missing:
            raise ServerUnavailableError(
                f"ComfyUI {self.checkout.version} in {self.checkout.path} does not start with "
                f"{self.checkout.python}: {missing[0]}"
            )
        raise RuntimeError(
            f"ComfyUI {self.checkout.version} stopped while starting:\n{self.log[-LOG_TAIL:]}"
        )

    def stop(self) -> None:
        """End the server; it is gone when this returns."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=15)
        if process.stdin:
            process.stdin.close()

    # ---- HTTP ----

    def get(self, path: str, timeout: float = 30.0, **query: str) -> bytes:
        """Body of a GET request."""
        query_text = f"?{urllib.parse.urlencode(query)}" if query else ""
        url = f"http://127.0.0.1:{self.port}{path}{query_text}"
        with self._http.open(url, timeout=timeout) as response:
            return response.read()

    def post(self, path: str, body: bytes, content_type: str = "application/json") -> bytes:
        """Body of the answer to a POST request."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", body, {"Content-Type": content_type}
        )
        with self._http.open(request, timeout=60) as response:
            return response.read()

    def object_info(self) -> dict[str, Any]:
        """Every node of the server as the browser sees it (asked once per server)."""
        if self._object_info is None:
            self._object_info = json.loads(self.get("/object_info"))
        return self._object_info

    def node_info(self, node_id: str) -> dict[str, Any]:
        """One node, freshly asked: drop-downs list the files that exist now."""
        return json.loads(self.get(f"/object_info/{urllib.parse.quote(node_id)}"))[node_id]

    # ---- graphs ----

    def queue(
        self, prompt: dict[str, Any], client_id: str = "", preview_method: str = "latent2rgb"
    ) -> str:
        """Queue a graph in API format and return its id.

        Raises:
            PromptRejectedError: If the server does not accept the graph or a part of it.
        """
        body = {"prompt": prompt, "extra_data": {"preview_method": preview_method}}
        if client_id:
            body["client_id"] = client_id
        try:
            answer = json.loads(self.post("/prompt", json.dumps(body).encode()))
        except urllib.error.HTTPError as error:
            answer = json.loads(error.read())
        if answer.get("node_errors") or "error" in answer:
            errors = answer.get("node_errors") or {}
            raise PromptRejectedError(json.dumps(answer, indent=1), errors)
        return answer["prompt_id"]

    def wait(self, prompt_id: str, timeout: float = 120.0) -> dict[str, Any]:
        """Wait for the end of a graph and return its history entry, whether it succeeded or not."""
        end = time.monotonic() + timeout
        while True:
            entry = json.loads(self.get(f"/history/{prompt_id}")).get(prompt_id)
            if entry is not None:
                return entry
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"The server died during a graph:\n{self.log[-LOG_TAIL:]}")
            if time.monotonic() > end:
                raise TimeoutError(
                    f"The graph did not end within {timeout} s:\n{self.log[-LOG_TAIL:]}"
                )
            time.sleep(0.05)

    def run(self, prompt: dict[str, Any], timeout: float = 120.0, **queue: str) -> dict[str, Any]:
        """Queue a graph, wait for its success and return its history entry.

        Raises:
            PromptRejectedError: If the server does not accept it.
            PromptFailedError: If a node fails or the graph is interrupted.
        """
        return self.succeeded(self.wait(self.queue(prompt, **queue), timeout))

    def succeeded(self, entry: dict[str, Any]) -> dict[str, Any]:
        """A history entry, if it tells of a success.

        Raises:
            PromptFailedError: If a node failed or the graph was interrupted.
        """
        messages = dict(entry["status"]["messages"])
        if entry["status"]["status_str"] == "success":
            return entry
        details = messages.get("execution_error") or messages.get("execution_interrupted") or {}
        what = f"{details.get('exception_type', 'interrupted')}: "
        what += f"{details.get('exception_message', '')}".strip()
        trace = "".join((details.get("traceback") or [])[-6:])
        message = f"{details.get('node_type')} (node {details.get('node_id')}) {what}\n{trace}"
        raise PromptFailedError(message, details)

    def interrupt(self) -> None:
        """Press Cancel."""
        self.post("/interrupt", b"{}")

    def listen(self) -> Events:
        """Open a client: `with server.listen() as events: server.run(graph, client_id=...)`."""
        return Events("127.0.0.1", self.port, uuid.uuid4().hex)

    # ---- files ----

    def upload(self, name: str, content: bytes | Path) -> str:
        """Upload a file into the input folder and return the name for loader nodes."""
        data = content.read_bytes() if isinstance(content, Path) else content
        boundary = uuid.uuid4().hex
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        body = (
            f"--{boundary}\r\nContent-Disposition: form-data; "
            f'name="image"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\n'
        ).encode()
        body += data + f"\r\n--{boundary}--\r\n".encode()
        content_type = f"multipart/form-data; boundary={boundary}"
        return json.loads(self.post("/upload/image", body, content_type))["name"]

    def add_model(self, folder: str, file: Path) -> str:
        """Put a file or folder into models/<folder> and return its name for drop-downs."""
        target = self.base / "models" / folder / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.is_dir():
            shutil.copytree(file, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(file, target)
        return file.name

    @staticmethod
    def files(entry: dict[str, Any], node: str | None = None) -> list[dict[str, str]]:
        """Files that a finished graph shows, of one node or of all, in order."""
        outputs = entry["outputs"]
        chosen = outputs.values() if node is None else [outputs.get(node, {})]
        lists = [value for output in chosen for value in output.values() if isinstance(value, list)]
        return [item for items in lists for item in items if isinstance(item, dict)]

    def fetch(self, file: dict[str, str]) -> bytes:
        """Content of a result, through /view as a browser gets it."""
        keys = ("filename", "subfolder", "type")
        return self.get("/view", **{key: file[key] for key in keys if key in file})

    def path_of(self, file: dict[str, str]) -> Path:
        """Where a result lies in the base folder."""
        return self.base / file["type"] / file.get("subfolder", "") / file["filename"]
