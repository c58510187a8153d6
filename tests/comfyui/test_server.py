"""The test server itself: graphs, files, events, errors and Cancel, with stock nodes only."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
from comfyui_harness.server import PromptFailedError, PromptRejectedError, process_environment
from PIL import Image


def empty_image(width=32, height=24, count=2):
    """Graph of stock nodes that makes plain pictures and shows them."""
    picture = {"width": width, "height": height, "batch_size": count, "color": 0x336699}
    return {
        "make": {"class_type": "EmptyImage", "inputs": picture},
        "show": {"class_type": "PreviewImage", "inputs": {"images": ["make", 0]}},
    }


def to_png(pixels):
    """PNG file of an (H, W, 3) uint8 array."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_graph_runs_and_its_files_can_be_fetched(server):
    entry = server.run(empty_image())
    files = server.files(entry, "show")
    assert len(files) == 2
    assert server.path_of(files[0]).read_bytes() == server.fetch(files[0])
    picture = Image.open(io.BytesIO(server.fetch(files[0])))
    assert picture.size == (32, 24)
    assert picture.convert("RGB").getpixel((0, 0)) == (0x33, 0x66, 0x99)


def test_an_uploaded_picture_comes_back_unchanged(server):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    name = server.upload("asymmetric.png", to_png(pixels))
    graph = {
        "load": {"class_type": "LoadImage", "inputs": {"image": name}},
        "save": {
            "class_type": "SaveImage",
            "inputs": {"images": ["load", 0], "filename_prefix": "back"},
        },
    }
    (file,) = server.files(server.run(graph))
    assert file["type"] == "output"
    back = np.asarray(Image.open(io.BytesIO(server.fetch(file))).convert("RGB"))
    assert np.array_equal(back, pixels)


def test_a_rejected_graph_names_the_node_and_the_input(server):
    graph = empty_image(width=-1)
    with pytest.raises(PromptRejectedError) as rejected:
        server.queue(graph)
    (error,) = rejected.value.errors["make"]["errors"]
    assert error["extra_info"]["input_name"] == "width"


def test_a_failing_node_is_reported_with_its_message(server):
    broken = server.upload("broken.png", b"no picture")
    graph = {
        "load": {"class_type": "LoadImage", "inputs": {"image": broken}},
        "show": {"class_type": "PreviewImage", "inputs": {"images": ["load", 0]}},
    }
    with pytest.raises(PromptFailedError, match="LoadImage") as failed:
        server.run(graph)
    assert failed.value.details["node_id"] == "load"


def test_events_tell_which_nodes_run(server):
    with server.listen() as events:
        server.run(empty_image(width=40), client_id=events.client_id)
        events.wait_for(lambda: events.of_type("execution_success"))
    running = [data["node"] for data in events.of_type("executing") if data["node"]]
    assert running == ["make", "show"]


def test_cancel_without_a_running_graph_does_no_harm(server):
    server.interrupt()
    assert server.files(server.run(empty_image(width=48)))


def test_the_guard_notes_other_machines_and_programs_but_not_loopback(tmp_path):
    """Without teeth here, the tests of an offline import would prove nothing."""
    code = """
import socket, subprocess, sys
for address in (("127.0.0.1", 9), ("192.0.2.1", 9)):
    probe = socket.socket()
    probe.setblocking(False)
    probe.connect_ex(address)
    try:
        probe.connect(address)
    except OSError:
        pass
try:
    socket.getaddrinfo("example.invalid", 443)
except OSError:
    pass
subprocess.run([sys.executable, "-c", "pass"])
"""
    audit = tmp_path / "audit.jsonl"
    subprocess.run([sys.executable, "-c", code], env=process_environment(audit), check=True)
    notes = [json.loads(line) for line in audit.read_text().splitlines()]
    assert {note["event"] for note in notes} == {
        "socket.connect",
        "socket.getaddrinfo",
        "subprocess.Popen",
    }
    assert {note["what"] for note in notes if note["event"] == "socket.connect"} == {
        "('192.0.2.1', 9)"
    }
