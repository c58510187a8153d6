"""The training loop by itself: one process, small networks, known answers."""

from itertools import count

import pytest
import torch
from torch import nn

from animate_anyone_core.errors import SettingsError
from animate_anyone_core.lab.training.config import OptimizerConfig
from animate_anyone_core.lab.training.loop import Every, Learner, OneProcess, fit


def line(batch: torch.Tensor) -> torch.Tensor:
    return batch @ torch.tensor([[2.0, -1.0], [0.5, 3.0]])


def batches():
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(16, 2, generator=generator) for _ in count())


def distance(network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    return (network(batch).float() - line(batch)).square().mean()


def learner(engine: OneProcess | None = None, loss_of=distance, **settings) -> Learner:
    torch.manual_seed(0)
    config = OptimizerConfig(**{"lr": 0.1, "weight_decay": 0.0, **settings})
    return Learner(nn.Linear(2, 2), loss_of, config, engine or OneProcess())


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_a_linear_map_is_found(kind):
    found = learner(kind=kind, orthogonal_lr=0.1, lr_schedule="cosine", lr_last_share=0.0)
    fit(found, batches(), 200)
    weight, bias = found.model.parameters()
    torch.testing.assert_close(weight.T, line(torch.eye(2)), atol=0.02, rtol=0)
    torch.testing.assert_close(bias, torch.zeros(2), atol=0.02, rtol=0)


def test_tasks_run_when_they_are_due_and_after_the_last_step():
    calls = []
    tasks = [
        Every(2, lambda done: calls.append(("log", done.step))),
        Every(0, lambda done: calls.append(("never", done.step))),
        Every(3, lambda done: calls.append(("save", done.step))),
    ]
    steps = []
    fit(
        learner(), batches(), 5, first_step=1, tasks=tasks, on_step=lambda *done: steps.append(done)
    )
    last = [("log", 5), ("save", 5)]
    assert calls == [("log", 2), ("save", 3), ("log", 4), *last]
    assert steps == [(2, 5), (3, 5), (4, 5), (5, 5)]


def test_a_run_that_is_over_ends_as_after_its_last_step():
    calls = []
    over = iter([False, True])
    task = Every(100, lambda done: calls.append(done.step))
    fit(learner(), batches(), 50, tasks=[task], is_over=lambda: next(over))
    assert calls == [2]


def test_the_learning_rate_that_tasks_are_told_is_the_schedules():
    rates = []
    settings = {"lr_schedule": "cosine", "lr_warmup_steps": 2, "lr_last_share": 0.2}
    task = Every(1, lambda done: rates.append(done.lr))
    fit(learner(**settings), batches(), 4, tasks=[task])
    # half of (0.2 + 0.8 (1 + cos 45 degrees) / 2), then the cosine at 90, 135 and 180 degrees
    assert rates == pytest.approx([0.04414, 0.06, 0.03172, 0.02], abs=1e-5)


def test_a_loss_that_is_no_number_ends_the_run_in_one_clear_error():
    with pytest.raises(SettingsError) as caught:
        fit(learner(loss_of=lambda *_: distance(*_) * float("nan")), batches(), 3)
    assert str(caught.value) == (
        "The loss is nan at step 3: the training diverged. What was written before is intact; "
        "start a new run with a lower learning rate (optimizer.lr), or with bf16 instead of fp16."
    )


def test_layers_compute_in_the_precision_of_the_engine():
    types = []

    def loss_of(network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
        types.append(network(batch).dtype)
        return distance(network, batch)

    for precision in (torch.float32, torch.bfloat16):
        fit(learner(OneProcess("cpu", precision), loss_of), batches(), 1)
    assert types == [torch.float32, torch.bfloat16]


def test_what_requires_no_gradient_stays():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    network[0].requires_grad_(False)
    before = {name: p.clone() for name, p in network.named_parameters()}
    config = OptimizerConfig(lr=0.1, weight_decay=0.5)
    fit(Learner(network, distance, config, OneProcess()), batches(), 3)
    moved = {name for name, p in network.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"1.weight", "1.bias"}
