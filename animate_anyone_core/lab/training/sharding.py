"""Weights, gradients and states shared out over processes: PyTorch's FSDP2, and HSDP over machines.

accelerate starts the processes and adds up; its own FSDP asks for GPUs, so that networks are shared out
here, which also runs on CPUs. Checkpoints are those of `torch.distributed.checkpoint`: any number of
processes goes on from them, one alone, too.
"""

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import MissingDependencyError, SettingsError
from .ema import EMA

logger = logging.getLogger("animate_anyone")


def shard(
    whole_network: nn.Module,
    units: Sequence[nn.Module],
    kind: str,
    device: torch.device,
    num_processes: int,
) -> None:
    """Share a network out: a unit is whole only while it computes.

    Args:
        whole_network: Changed in place; its parameters are others afterwards.
        units: Parts of it that are called as modules; what is in none stays whole during a step.
        kind: "full" over all processes, "hybrid" over those of a machine; "no" leaves them.
        device: Of this process.
        num_processes: How many there are; one keeps all.

    Raises:
        SettingsError: If the machines do not have as many processes each.
        MissingDependencyError: If PyTorch is older than 2.6.
    """
    if kind == "no" or num_processes == 1:
        return
    fully_shard = _fsdp("fully_shard")
    # of what must not be changed in place, which nothing here does
    warnings.filterwarnings("ignore", message=r"FSDP2-wrapped module .* returned a view tensor")
    mesh = _mesh(kind, device.type, num_processes)
    whole_network.to(device)
    for unit in (*units, whole_network):
        fully_shard(unit, mesh=mesh)


def _mesh(kind: str, device_type: str, num_processes: int) -> Any:
    from torch.distributed.device_mesh import init_device_mesh

    if kind == "full":
        return init_device_mesh(device_type, (num_processes,), mesh_dim_names=("shard",))
    here = int(os.environ.get("LOCAL_WORLD_SIZE", num_processes))
    machines, rest = divmod(num_processes, here)
    if rest:
        raise SettingsError(
            f"run.shard hybrid needs as many processes on every machine: {here} of {num_processes} are "
            "on this one. Start as many on each, or set run.shard to full."
        )
    return init_device_mesh(device_type, (machines, here), mesh_dim_names=("replicate", "shard"))


def tell_of_restarts() -> None:
    """Warn if processes that torchrun starts again might wait for those that ended.

    It gives all starts one store (PyTorch 2.13), in which the addresses of the start before still are.
    """
    restarts = int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0"))
    if restarts and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        logger.warning(
            "Processes that torchrun starts again may look for those that ended, and wait. Set "
            "TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 before torchrun."
        )


def is_sharded(network: nn.Module) -> bool:
    """Whether a network is shared out over processes."""
    return any(hasattr(parameter, "full_tensor") for parameter in network.parameters())


@contextmanager
def gathered(network: nn.Module) -> Iterator[None]:
    """Have networks whole in every process for a while; all must enter together."""
    units: list[Any] = [m for m in network.modules() if hasattr(m, "set_reshard_after_forward")]
    for unit in units:
        unit.set_reshard_after_forward(False, recurse=False)
        unit.unshard()
    try:
        yield
    finally:
        for unit in units:
            unit.reshard()
            unit.set_reshard_after_forward(unit is not network, recurse=False)


def whole(tensor: Tensor) -> Tensor:
    """A tensor gathered from all processes, if it is shared out; all must ask together."""
    shared: Any = tensor
    return shared.full_tensor() if hasattr(shared, "full_tensor") else tensor


def shared_like(tensor: Tensor, other: Any) -> Tensor:
    """A tensor that every process has whole, shared out as another one is."""
    if not hasattr(other, "full_tensor"):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor, other.device_mesh, other.placements, src_data_rank=None)


def save_state(folder: Path, networks: nn.Module, optimizers: Sequence[Any], ema: EMA) -> None:
    """Write what a run goes on from, every process its part; optimizers may be accelerate's."""
    from torch.distributed import checkpoint

    checkpoint.save(_state(networks, optimizers, ema), checkpoint_id=folder)


def load_state(folder: Path, networks: nn.Module, optimizers: Sequence[Any], ema: EMA) -> None:
    """Read what `save_state` wrote, with however many processes."""
    from torch.distributed import checkpoint
    from torch.distributed.checkpoint import state_dict as parts

    saved = checkpoint.FileSystemReader(folder).read_metadata().state_dict_metadata
    state = _state(networks, optimizers, ema)
    # what had no gradient so far has no state in the checkpoint, and is to have none again
    states = state["optimizers"]["state"]
    known = {key.rpartition(".")[0] for key in saved}
    state["optimizers"]["state"] = {
        name: held for name, held in states.items() if f"optimizers.state.{name}" in known
    }
    checkpoint.load(state, checkpoint_id=folder)
    parts.set_model_state_dict(networks, state["model"])
    parts.set_optimizer_state_dict(
        networks,
        _bare(optimizers),
        state["optimizers"],
        options=parts.StateDictOptions(strict=False),
    )
    ema.load_state_dict(state["ema"])


def _bare(optimizers: Sequence[Any]) -> list[torch.optim.Optimizer]:
    return [getattr(optimizer, "optimizer", optimizer) for optimizer in optimizers]


def _state(networks: nn.Module, optimizers: Sequence[Any], ema: EMA) -> dict[str, Any]:
    from torch.distributed.checkpoint.state_dict import get_state_dict

    model, states = get_state_dict(networks, _bare(optimizers))
    return {"model": model, "optimizers": states, "ema": ema.state_dict()}


def _fsdp(name: str) -> Any:
    try:
        from torch.distributed import fsdp

        return getattr(fsdp, name)
    except (ImportError, AttributeError) as error:
        raise MissingDependencyError(
            f"run.shard needs PyTorch 2.6 or newer, this is {torch.__version__}: install a newer one, "
            "or set run.shard to no."
        ) from error
