"""Runs first in every process that the ComfyUI tests start: takes notes, and ends with the tests.

Written to the file that ANIMATE_ANYONE_AUDIT names, one JSON object per line: attempts to reach
another machine, and started programs, each with the source files on the stack. Nothing is blocked,
so a test sees what a user's machine would do.
"""

import ipaddress
import json
import os
import sys
import threading

AUDIT_FILE = os.environ.get("ANIMATE_ANYONE_AUDIT")
# Taken out of the environment: only this process, not its children, watches the pipe.
ENDS_WITH_STDIN = os.environ.pop("ANIMATE_ANYONE_ENDS_WITH_STDIN", None)


def is_this_machine(host: object) -> bool:
    """Whether a host of a socket call is loopback or a wildcard."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host is None or host in ("", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(str(host).split("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def describe(event: str, args: tuple) -> str | None:
    """What is worth a note in an audit event, or None."""
    if event == "socket.connect" and isinstance(args[1], tuple):
        return None if is_this_machine(args[1][0]) else str(args[1])
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        return None if is_this_machine(args[0]) else str(args[0])
    if event == "subprocess.Popen":
        return str(args[1])
    return None


def take_note(event: str, args: tuple) -> None:
    """Audit hook: append one line per remarkable event."""
    if not event.startswith(("socket.", "subprocess.")):
        return
    what = describe(event, args)
    if what is None:
        return
    files, frame = [], sys._getframe(1)
    while frame is not None:
        files.append(frame.f_code.co_filename)
        frame = frame.f_back
    with open(AUDIT_FILE, "a", encoding="utf-8") as notes:  # noqa: PTH123
        notes.write(json.dumps({"event": event, "what": what, "files": files}) + "\n")


def end_with_stdin() -> None:
    """Leave when the pipe from the tests closes, so that no server outlives them."""
    while os.read(0, 1):
        pass
    os._exit(0)


if AUDIT_FILE:
    sys.addaudithook(take_note)
if ENDS_WITH_STDIN:
    threading.Thread(target=end_with_stdin, daemon=True).start()
