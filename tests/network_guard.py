"""Refuse other machines while tests run: what needs the network at run time must not pass unseen."""

import ipaddress
import socket
import sys
from typing import Any


def is_this_machine(host: object) -> bool:
    """Whether the host of a socket call is loopback, a wildcard, or an address of this machine's own."""
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
    if name in ("", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.split("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified or _is_own(address)


def _is_own(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether a socket can be bound to an address, as only a machine's own can: a Ray cluster's here."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as tried:
        try:
            tried.bind((str(address), 0))
        except OSError:
            return False
    return True


def refuse_other_machines(event: str, args: tuple[Any, ...]) -> None:
    """Audit hook: raise where a test connects to another machine."""
    if event == "socket.connect" and isinstance(args[1], tuple) and not is_this_machine(args[1][0]):
        raise ConnectionRefusedError(f"tests must not reach another machine, got {args[1]}")


def guard() -> None:
    """From now on, in this process."""
    sys.addaudithook(refuse_other_machines)
