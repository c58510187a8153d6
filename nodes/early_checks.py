"""Checks of settings before a graph is queued: the node turns red at once, not after minutes."""

from collections.abc import Callable

from ..animate_anyone_core.errors import AnimateAnyoneError


def verdict(check: Callable[[], object]) -> bool | str:
    """What `validate_inputs` returns: True, or what is wrong.

    A node that names an input there takes over ComfyUI's check of its range; and an input that is
    linked arrives as None, because its value is not known yet. ComfyUI tells what is returned once for
    every input that is named, so this is for nodes that name one; those that name several raise, which
    is told once.

    Args:
        check: Raises one of the core's errors if the settings are wrong.
    """
    try:
        check()
    except AnimateAnyoneError as error:
        return str(error)
    return True
