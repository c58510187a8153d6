"""Refuse other machines while tests run: what needs the network at run time must not pass unseen."""

import ipaddress
import sys
from typing import Any


def is_this_machine(host: object) -> bool:
    """Whether the host of a socket call is loopback or a wildcard."""
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
    if name in ("", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.split("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def refuse_other_machines(event: str, args: tuple[Any, ...]) -> None:
    """Audit hook: raise where a test connects to another machine."""
    if event == "socket.connect" and isinstance(args[1], tuple) and not is_this_machine(args[1][0]):
        raise ConnectionRefusedError(f"tests must not reach another machine, got {args[1]}")


def guard() -> None:
    """From now on, in this process."""
    sys.addaudithook(refuse_other_machines)
