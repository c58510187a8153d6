"""What ComfyUI tells a browser over its websocket: progress, previews, errors."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# Opcodes of RFC 6455.
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
# Binary events of ComfyUI's protocol.py.
PREVIEW_IMAGE, PREVIEW_IMAGE_WITH_METADATA = 1, 4


class WebSocket:
    """A client connection of RFC 6455: masked frames out, frames in, no extensions."""

    def __init__(self, host: str, port: int, path: str, timeout: float = 10.0):
        """Connect and shake hands; raises ConnectionError when the server declines."""
        self._socket = socket.create_connection((host, port), timeout=timeout)
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            f"Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self._buffer = b""
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            raise ConnectionError(f"The server refused the websocket: {head[:200]!r}")
        self._socket.settimeout(None)

    def _fill(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("The server closed the websocket.")
        self._buffer += data

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._fill()
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def _frame(self) -> tuple[bool, int, bytes]:
        first, second = self._take(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", self._take(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self._take(8))
        return bool(first & 0x80), first & 0x0F, self._take(length)

    def send(self, data: bytes, opcode: int = TEXT) -> None:
        """Send one message as a single frame."""
        length = len(data)
        if length < 126:
            head = bytes([0x80 | opcode, 0x80 | length])
        elif length < 1 << 16:
            head = bytes([0x80 | opcode, 0x80 | 126]) + struct.pack(">H", length)
        else:
            head = bytes([0x80 | opcode, 0x80 | 127]) + struct.pack(">Q", length)
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
        self._socket.sendall(head + mask + masked)

    def receive(self) -> tuple[int, bytes]:
        """Next message as (TEXT or BINARY, payload); raises ConnectionError at the end."""
        kind, payload = 0, b""
        while True:
            final, opcode, data = self._frame()
            if opcode == CLOSE:
                raise ConnectionError("The server closed the websocket.")
            if opcode == PING:
                self.send(data, PONG)
            elif opcode != PONG:
                kind, payload = kind or opcode, payload + data
                if final:
                    return kind, payload

    def close(self) -> None:
        """Drop the connection; a receive() in another thread ends with an error."""
        with contextlib.suppress(OSError):  # the server was faster
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@dataclass(frozen=True)
class Preview:
    """A picture sent while a node was running."""

    mime_type: str
    image: bytes
    metadata: dict[str, Any]


@dataclass(frozen=True)
class Progress:
    """One step of a progress bar."""

    node: str | None
    value: float
    maximum: float


def parse_preview(message: bytes) -> Preview | None:
    """Read a binary message; None for kinds that are no previews."""
    (event,) = struct.unpack(">I", message[:4])
    (number,) = struct.unpack(">I", message[4:8])
    if event == PREVIEW_IMAGE_WITH_METADATA:
        metadata = json.loads(message[8 : 8 + number])
        return Preview(metadata.get("image_type", ""), message[8 + number :], metadata)
    if event == PREVIEW_IMAGE:
        return Preview("image/png" if number == 2 else "image/jpeg", message[8:], {})
    return None


@dataclass
class Events:
    """Everything a server told one client, collected by a thread; use as a context manager."""

    host: str
    port: int
    client_id: str
    messages: list[dict[str, Any]] = field(default_factory=list)
    previews: list[Preview] = field(default_factory=list)

    def __enter__(self) -> Events:
        """Connect as a client that understands previews with metadata (binary event 4)."""
        self._socket = WebSocket(self.host, self.port, f"/ws?clientId={self.client_id}")
        flags = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}
        self._socket.send(json.dumps(flags).encode())
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()
        self.wait_for(lambda: any(m["type"] == "feature_flags" for m in self.messages), timeout=10)
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        self._socket.close()
        self._thread.join(timeout=5)

    def _collect(self) -> None:
        with contextlib.suppress(OSError):  # closed by either side
            while True:
                kind, payload = self._socket.receive()
                if kind == TEXT:
                    self.messages.append(json.loads(payload))
                elif (preview := parse_preview(payload)) is not None:
                    self.previews.append(preview)

    @property
    def progress(self) -> list[Progress]:
        """Steps of all progress bars, in order."""
        steps = (m["data"] for m in self.messages if m["type"] == "progress")
        return [Progress(step.get("node"), step["value"], step["max"]) for step in steps]

    def of_type(self, name: str) -> list[dict[str, Any]]:
        """Data of all messages of a type such as "executing" or "execution_error"."""
        return [m["data"] for m in self.messages if m["type"] == name]

    def wait_for(self, condition: Callable[[], object], timeout: float = 30.0) -> None:
        """Return once the condition holds; raises TimeoutError with what did arrive."""
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                seen = [m["type"] for m in self.messages][-20:]
                raise TimeoutError(
                    f"Waited {timeout} s for an event; the last messages were {seen}, "
                    f"with {len(self.previews)} previews."
                )
            time.sleep(0.02)
