"""Which of the networks' parameters each stage moves, and where LoRA layers move in their place."""

from collections.abc import Iterator

from torch import nn

from ...checkpoints.key_map import is_temporal
from ...models.reference_net import ReferenceNet
from .config import TrainConfig
from .lora_layers import add_lora, is_idle, lora_targets
from .networks import TrainedNetworks


def choose_learning(networks: TrainedNetworks, config: TrainConfig) -> None:
    """Have learn what the settings say: whole weights, or LoRA layers, which are put in.

    Raises:
        SettingsError: If LoRA has no layer to change.
        MissingDependencyError: If it is wanted, and PEFT is not installed.
    """
    lora = config.lora
    if not lora.rank:
        optimizer = config.optimizer
        choose_trained(
            networks, config.stage, optimizer.trained_reference, optimizer.trained_spatial
        )
        return
    unread = _unread_prefixes(networks.reference_net, "all")
    targets = [
        path
        for path in lora_targets(networks)
        if network_of(path) in lora.networks and not f"{path}.".startswith(unread)
    ]
    add_lora(networks, targets, lora.rank, lora.alpha, config.seed)


def network_of(path: str) -> str:
    """What `LoraConfig.networks` calls the part that a layer of the networks belongs to."""
    return "temporal" if is_temporal(path) else path.partition(".")[0]


def choose_trained(
    networks: TrainedNetworks, stage: int, trained_reference: str, trained_spatial: bool = False
) -> None:
    """Set `requires_grad` of every parameter; see `trained_parameters`."""
    chosen = trained_parameters(networks, stage, trained_reference, trained_spatial)
    trained = {name for name, _ in chosen}
    for name, parameter in networks.named_parameters():
        parameter.requires_grad_(name in trained)


def trained_parameters(
    networks: TrainedNetworks, stage: int, trained_reference: str, trained_spatial: bool = False
) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters that a stage moves, with their names; those that change nothing stay.

    These have no gradient but what rounding makes, which Muon, whose steps are of one length, follows.

    Args:
        networks: All.
        stage: 1 to 3.
        trained_reference: "all", "without-last-block" or "none" (stage 1).
        trained_spatial: Whether stage 2 moves the denoising UNet's spatial layers, too.
    """
    unread = _unread_prefixes(networks.reference_net, trained_reference)
    for name, parameter in networks.named_parameters():
        temporal, in_unet = is_temporal(name), name.startswith("denoising_unet.")
        moves = {
            1: not (temporal or name.startswith(unread)),
            2: temporal or (trained_spatial and in_unet),
            3: in_unet,
        }
        if moves[stage] and not is_idle(name.rpartition(".")[0]):
            yield name, parameter


def _unread_prefixes(net: ReferenceNet, trained_reference: str) -> tuple[str, ...]:
    """Parameters of ReferenceNet that no feature depends on, or that are kept by request."""
    if trained_reference == "none":
        return ("reference_net.",)
    last_block = f"reference_net.up_blocks.{len(net.up_blocks) - 1}."
    if trained_reference == "without-last-block":
        return (last_block,)
    block_path = f"reference_net.{net.feature_paths()[-1]}."
    attention_path = block_path.split(".transformer_blocks.")[0]
    parts = ("attn1.", "attn2.", "norm2.", "norm3.", "ff.")
    return (*(block_path + part for part in parts), f"{attention_path}.proj_out.")
