"""What holds for the suite itself: no network, and a clear line on what did not run."""

import socket
from types import SimpleNamespace

import pytest

from tests import network_guard


def test_another_machine_is_refused():
    with (
        socket.socket() as connection,
        pytest.raises(ConnectionRefusedError, match="must not reach"),
    ):
        connection.connect(("192.0.2.1", 80))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "::1", "localhost", "", b"127.0.0.1", None, "0.0.0.0"]
)
def test_this_machine_is_reached(host):
    network_guard.refuse_other_machines("socket.connect", (None, (host, 80)))


def test_this_machine_is_reached_by_its_own_addresses():
    try:
        found = socket.getaddrinfo(socket.gethostname(), 80, type=socket.SOCK_STREAM)
    except socket.gaierror:
        pytest.skip("this machine's name has no address")
    own = {str(place[0]) for *_, place in found}
    for host in own:
        network_guard.refuse_other_machines("socket.connect", (None, (host, 80)))


def test_the_summary_says_what_is_missing_and_how_to_get_it(request):
    (conftest,) = (
        plugin
        for plugin in request.config.pluginmanager.get_plugins()
        if hasattr(plugin, "files_of_the_repository")
    )
    reasons = ["Skipped: no ComfyUI: COMFYUI_PATH is not set", "Skipped: no ComfyUI at all"]
    reasons += ["Skipped: could not import 'lpips'", "Skipped: something else"]
    skipped = [SimpleNamespace(longrepr=("a.py", 1, reason)) for reason in reasons]
    lines = []
    reporter = SimpleNamespace(stats={"skipped": skipped}, write_line=lines.append)
    conftest.pytest_terminal_summary(reporter)
    assert lines == [
        "skipped: 2 for want of a ComfyUI (see tests/comfyui/conftest.py); "
        '1 for want of lpips (pip install -e ".[evaluate]"); 1 for want of something else'
    ]
