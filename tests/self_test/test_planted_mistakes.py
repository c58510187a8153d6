"""Wrong builds are found, far above the limit, and named with their stage."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from animate_anyone_core.models import temporal
from animate_anyone_core.models.attention import scaled_dot_product
from animate_anyone_core.self_test.core_calls import build_networks
from animate_anyone_core.self_test.kernels import CHOSEN, check_kernels
from animate_anyone_core.self_test.precision import PRECISIONS
from animate_anyone_core.self_test.reference_numbers import numbers_of
from animate_anyone_core.self_test.run import run_self_test
from animate_anyone_core.self_test.stages import run_stage, stage_named

CPU = torch.device("cpu")
LEAST = 3.0  # times the limit


def set_epsilon(network, end, value):
    changed = 0
    for name, module in network.named_modules():
        if isinstance(module, nn.GroupNorm) and name.endswith(end) and "motion" not in name:
            module.eps = value
            changed += 1
    assert changed
    return network


def final_norm(networks):
    set_epsilon(networks.denoising_unet, "conv_norm_out", 1e-6)


def resnet_norms(networks):
    for end in ("norm1", "norm2"):
        set_epsilon(networks.denoising_unet, end, 1e-6)


def transformer_norms(networks):
    for name, module in networks.denoising_unet.named_modules():
        if isinstance(module, nn.GroupNorm) and name.endswith("norm") and "attentions" in name:
            module.eps = 1e-5


def tanh_gelu(networks):
    gates = [m for m in networks.denoising_unet.modules() if type(m).__name__ == "GEGLU"]
    assert gates
    for gate in gates:
        gate.gelu = lambda x: F.gelu(x, approximate="tanh")


def swapped_weight(networks):
    """Keys and queries of one attention exchanged, as a wrong rename table would."""
    attention = networks.reference_net.down_blocks[0].attentions[0].transformer_blocks[0].attn1
    q, k = attention.to_q.weight.data.clone(), attention.to_k.weight.data.clone()
    attention.to_q.weight.data, attention.to_k.weight.data = k, q


class RoundedFeatures(nn.Module):
    """ReferenceNet as the published code has it by default: features in float16."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, *inputs, **options):
        found = self.network(*inputs, **options)
        return {path: tokens.half().float() for path, tokens in found.items()}


MISTAKES = {
    "final norm's epsilon 1e-6 for 1e-5": (final_norm, "denoising UNet"),
    "resnet norms' epsilon 1e-6 for 1e-5": (resnet_norms, "denoising UNet"),
    "transformer norms' epsilon 1e-5 for 1e-6": (transformer_norms, "denoising UNet"),
    "tanh GELU": (tanh_gelu, "temporal layers"),
    "swapped weight": (swapped_weight, "ReferenceNet"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_network_is_far_above_the_limit(networks, numbers, mistake):
    plant, stage = MISTAKES[mistake]
    plant(networks)
    found = run_stage(stage_named(stage), networks, numbers["moore"], "fp32")
    assert found.worst.of_limit > LEAST, str(found.worst)


def test_rounded_reference_features_are_far_above_the_limit(networks, numbers):
    networks = replace(networks, reference_net=RoundedFeatures(networks.reference_net))
    found = run_stage(stage_named("denoising UNet"), networks, numbers["moore"], "fp32")
    assert found.worst.of_limit > LEAST, str(found.worst)


def test_positions_off_by_one_are_far_above_the_limit(networks, numbers, monkeypatch):
    true = temporal.sinusoidal_positions
    shifted = lambda frames, *rest: true(frames + 1, *rest)[1:]  # noqa: E731
    monkeypatch.setattr(temporal, "sinusoidal_positions", shifted)
    found = run_stage(stage_named("temporal layers"), networks, numbers["moore"], "fp32")
    assert found.worst.of_limit > LEAST, str(found.worst)


def test_looped_windows_are_found(networks, numbers):
    musepose = numbers["musepose"]
    how = musepose.settings["sampling"]
    assert not how["closed_loop"]
    looped = replace_settings(musepose, sampling={**how, "closed_loop": True})
    assert not run_stage(stage_named("windows"), networks, looped, "fp32").passes


def test_another_noise_schedule_is_found(networks, numbers):
    kwargs = numbers["moore"].settings["noise_scheduler_kwargs"]
    other = {**kwargs, "beta_schedule": "scaled_linear"}
    wrong = replace_settings(numbers["moore"], noise_scheduler_kwargs=other)
    found = run_stage(stage_named("noise schedule"), networks, wrong, "fp32")
    assert found.worst.of_limit > LEAST


def replace_settings(numbers, **changes):
    wrong = copy.copy(numbers)
    wrong.settings = {**numbers.settings, **changes}
    return wrong


def no_mask(q, k, v, num_heads, bias=None):
    return scaled_dot_product(q, k, v, num_heads)


@pytest.mark.parametrize("precision", PRECISIONS.values(), ids=lambda p: p.name)
def test_a_kernel_that_drops_the_mask_is_far_above_the_limit(precision):
    by_name = {result.kernel: result for result in check_kernels(CPU, precision, no_mask)}
    assert by_name[CHOSEN].worst.of_limit > LEAST
    assert by_name[CHOSEN].worst.name == "masked"
    assert all(result.passes for name, result in by_name.items() if name != CHOSEN)


def test_a_kernel_that_drops_the_mask_is_named():
    found = run_self_test(CPU, attention=no_mask, families=[], with_clip=False)
    assert not found.passes
    assert found.verdict().startswith(
        "The attention kernel (as PyTorch chooses) on cpu in fp32 is wrong in the case masked"
    )
    assert "drops or mistakes the mask" in found.verdict()
    assert "--use-split-cross-attention" in found.verdict()


def build_with(plant):
    def build(*inputs):
        networks = build_networks(*inputs)
        plant(networks)
        return networks

    return build


def run(plant, precision, *stages):
    return run_self_test(
        CPU,
        precision,
        families=[numbers_of("moore")],
        stages=[stage_named(name) for name in stages],
        with_clip=False,
        build=build_with(plant),
    )


@pytest.mark.parametrize(
    "precision", ["fp32", *(pytest.param(n, marks=pytest.mark.slow) for n in ("bf16", "fp8"))]
)
def test_a_swapped_weight_is_named(precision):
    found = run(swapped_weight, precision, "Pose Guider", "ReferenceNet", "temporal layers")
    assert not found.passes
    assert f"ReferenceNet on cpu in {precision} differs (reference/" in found.verdict()
    marked = [line for line in found.to_text().splitlines() if "DIFFERS" in line]
    assert len(marked) == 1
    assert marked[0].startswith("ReferenceNet")


def test_an_overflow_of_float16_is_named():
    def grow(networks):
        networks.pose_guider.conv_in.weight.data *= 3e4
        networks.pose_guider.blocks[0].weight.data *= 3e4

    found = run(grow, "fp16", "Pose Guider", "temporal layers")
    assert "Pose Guider on cpu in fp16 differs (pose_guider/out: infinite or not a number)" in (
        found.verdict()
    )
    assert "float16 reaches only to 65504. Run in bf16" in found.verdict()
    assert [stage.passes for stage in found.stages] == [False, True]


def test_an_operation_that_the_device_lacks_is_named():
    def refuse(networks):
        def forward(*inputs):
            raise NotImplementedError("aten::conv2d is not implemented for this device")

        networks.pose_guider.forward = forward

    found = run(refuse, "fp32", "Pose Guider")
    assert "could not run: aten::conv2d is not implemented" in found.verdict()
    assert "FAILS" in found.to_text()
