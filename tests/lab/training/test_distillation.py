"""Stage 3: what a student learns of its teacher, and what becomes of it."""

import math

import pytest
import torch

from animate_anyone_core.checkpoints.families import FAMILIES
from animate_anyone_core.errors import SettingsError
from animate_anyone_core.lab.training.config import TrainConfig
from animate_anyone_core.lab.training.config_files import make_config, merge
from animate_anyone_core.lab.training.critic import Critic, Shown, adversarial_losses
from animate_anyone_core.lab.training.distillation import Distillation, Target, Teacher
from animate_anyone_core.lab.training.distillation_config import DistillationConfig
from animate_anyone_core.lab.training.networks import Seen
from animate_anyone_core.lab.training.published_files import student_profile
from animate_anyone_core.lab.training.recipes import recipe_settings
from animate_anyone_core.lab.training.student import DataLesson
from animate_anyone_core.sampling.denoise import denoise
from animate_anyone_core.sampling.schedule import NoiseSchedule, make_solver
from animate_anyone_core.sampling.windows import WindowSettings

NOISE = NoiseSchedule(beta_schedule="scaled_linear")
EPSILON = NoiseSchedule(
    beta_schedule="scaled_linear", prediction_type="epsilon", rescale_betas_zero_snr=False
)
SHAPE = (2, 4, 3, 2, 2)
LEVELS = make_solver(NOISE).alphas_cumprod


def normal(seed: int) -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def rates(t: torch.Tensor, levels: torch.Tensor = LEVELS) -> tuple[torch.Tensor, torch.Tensor]:
    level = levels[t.long()].reshape(-1, 1, 1, 1, 1)
    return level.sqrt(), (1 - level).sqrt()


def knows_the_deviation(deviation: float, mean: float = 0.0):
    """The exact v of data from N(mean, deviation²): linear in x."""

    def predict(x, t):
        signal, noise = rates(t)
        gain = signal * deviation**2 / (signal**2 * deviation**2 + noise**2)
        clean = mean + gain * (x - signal * mean)
        # ε = (x - α x_0) / σ, finite everywhere but at t where σ is 0
        return signal * (x - signal * clean) / noise - noise * clean

    return predict


def nobody(x, t):
    raise AssertionError("nobody is asked")


CONDITIONAL, UNCONDITIONAL = knows_the_deviation(0.5, mean=0.3), knows_the_deviation(1.5)


def distillation(noise=NOISE, guidance=2.0, **settings) -> Distillation:
    return Distillation(DistillationConfig(**settings), noise, guidance)


def whole_walk(noise_now: torch.Tensor, steps: int, predict, guidance: float) -> torch.Tensor:
    """diffusers' DDIM through the product's own loop."""

    def window(latents, t, window, with_unconditional):
        answers = [predict(latents, t.reshape(1))]
        if with_unconditional:
            answers.insert(0, UNCONDITIONAL(latents, t.reshape(1)))
        return torch.cat(answers)

    return denoise(
        window,
        noise_now,
        make_solver(NOISE),
        num_inference_steps=steps,
        guidance_scale=guidance,
        windows=WindowSettings(context_frames=SHAPE[2], context_overlap=0),
    )


@pytest.mark.parametrize("student_steps", [1, 2, 4])
def test_four_steps_of_a_perfect_student_end_where_twenty_guided_steps_of_the_teacher_end(
    student_steps,
):
    """The teacher is linear, diffusers' DDIM walks for both, and the targets are all that is ours."""
    lesson = distillation(student_steps=student_steps)
    teacher = Teacher(CONDITIONAL, UNCONDITIONAL)
    noise = normal(0)[:1]

    def perfect(x, t):
        place = int((lesson.times == t).nonzero())
        start = torch.tensor([place])
        arrived = lesson.walk(teacher, x, start, lesson.stride)
        return lesson.needed(x, arrived, start, start + lesson.stride)

    expected = whole_walk(noise, 20, CONDITIONAL, guidance=2.0)
    result = whole_walk(noise, student_steps, perfect, guidance=1.0)
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-4)
    plain = whole_walk(noise, student_steps, CONDITIONAL, guidance=2.0)
    assert (plain - expected).abs().max() > 0.01  # the teacher itself, with as few steps, does not


def test_every_target_is_of_the_samples_own_step():
    """Rows of one batch start at different places, the first of them at pure noise."""
    lesson, latents, noise = distillation(), normal(1), normal(2)
    teacher = Teacher(CONDITIONAL, UNCONDITIONAL)
    target = lesson.target(teacher, latents, noise, torch.tensor([999, 130]), nobody, nobody)
    assert target.t.tolist() == [999, 249]
    torch.testing.assert_close(target.sample[0], noise[0])
    signal, rate = rates(torch.tensor([249]))
    torch.testing.assert_close(target.sample[1:], signal * latents[1:] + rate * noise[1:])
    for row, place in ((0, 0), (1, 15)):
        one = slice(row, row + 1)
        start = torch.tensor([place])
        walked = lesson.walk(teacher, target.sample[one], start, 5)
        stepped = lesson.step(target.sample[one], target.prediction[one], start, start + 5)
        torch.testing.assert_close(stepped, walked, rtol=1e-4, atol=1e-5)


def test_all_times_fall_on_the_students_steps_alike():
    t = torch.arange(1000)
    places = distillation().places(t)
    assert torch.bincount(places).tolist() == [250, *[0] * 4] * 3 + [250]
    assert distillation(method="consistency").places(t).bincount().tolist() == [50] * 20


@pytest.mark.parametrize("method", ["trajectory", "consistency"])
@pytest.mark.parametrize("start", ["data", "own"])
def test_one_point_of_data_is_reached_in_a_straight_line(method, start):
    """Then every way is the same: the target is the teacher's own prediction, at any place."""
    exact = knows_the_deviation(0.0, mean=0.7)
    lesson = distillation(guidance=1.0, method=method, start=start)
    latents = torch.full(SHAPE, 0.7)
    for t in ([999, 130], [700, 333]):
        target = lesson.target(
            Teacher(exact, None), latents, normal(3), torch.tensor(t), exact, exact
        )
        expected = exact(target.sample, target.t)
        torch.testing.assert_close(target.prediction, expected, rtol=1e-3, atol=1e-4)


def test_consistency_asks_the_average_only_where_the_way_goes_on():
    lesson = distillation(method="consistency")
    teacher = Teacher(CONDITIONAL, UNCONDITIONAL)
    last = torch.tensor([0, 250])  # the last teacher's step before a student's place
    both = lesson.target(teacher, normal(4), normal(5), last, nobody, nobody)
    assert both.start.tolist() == [19, 14]
    torch.testing.assert_close(
        lesson.step(both.sample, both.prediction, both.start, both.end),
        lesson.walk(teacher, both.sample, both.start, 1),
        rtol=1e-4,
        atol=1e-5,
    )


def test_own_starts_are_where_the_students_steps_lead():
    lesson = distillation(start="own")
    noise = normal(6)
    target = lesson.target(
        Teacher(CONDITIONAL, None), normal(7), noise, torch.tensor([999, 260]), CONDITIONAL, nobody
    )
    x = noise[1:]
    for place in (0, 5):
        start = torch.tensor([place])
        x = lesson.step(x, CONDITIONAL(x, lesson.times[start]), start, start + 5)
    torch.testing.assert_close(target.sample[0], noise[0])
    torch.testing.assert_close(target.sample[1:], x)


def test_noise_prediction_takes_the_same_steps_as_diffusers():
    lesson = distillation(EPSILON, teacher_steps=10, student_steps=5)
    solver = make_solver(EPSILON)
    solver.set_timesteps(10)
    x, prediction = normal(8), normal(9)
    for place in (0, 4, 9):
        start = torch.full((2,), place)
        expected = solver.step(prediction, solver.timesteps[place], x).prev_sample
        result = lesson.step(x, prediction, start, start + 1)
        torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            lesson.needed(x, result, start, start + 1), prediction, rtol=1e-2, atol=1e-2
        )


def test_large_errors_count_by_their_size():
    lesson, x = distillation(), torch.zeros(SHAPE)
    target = lesson.target(Teacher(CONDITIONAL, None), x, x, torch.tensor([999, 0]), nobody, nobody)
    missed = target.prediction + 3.0
    assert lesson.losses(missed, target, x).tolist() == pytest.approx([9.0, 9.0], rel=1e-5)
    soft = distillation(huber=0.1).losses(missed, target, x)
    assert soft.tolist() == pytest.approx([math.hypot(3, 0.1) - 0.1] * 2, rel=1e-5)
    places = torch.full((2, 1, *SHAPE[2:]), 0.5)
    halved = distillation(huber=0.1).losses(missed, target, x, places)
    torch.testing.assert_close(halved, soft / 2)


def test_what_stands_still_must_not_tremble():
    """Of two errors of one size, only the one that changes from frame to frame costs more."""
    latents = normal(12)[:, :, :1].expand(SHAPE)  # a still clip
    exact = knows_the_deviation(0.0, mean=0.7)
    plain, steady = distillation(), distillation(steadiness=0.5)
    target = plain.target(
        Teacher(exact, None), latents, normal(3), torch.tensor([999, 0]), exact, exact
    )
    right = plain.needed(target.sample, latents, target.start, torch.full_like(target.end, 20))
    target = target._replace(prediction=right)
    trembling = torch.tensor([0.1, -0.1, 0.1])[:, None, None]  # frame by frame
    for error, changes in ((0.1, 0.0), (trembling, 0.2)):
        off = right + error
        at = plain.levels[target.start].reshape(-1, 1, 1, 1, 1)
        moved = (1 - at).sqrt().flatten() * changes  # of the clean latents, x_0 = α x - σ v
        expected = plain.losses(off, target, latents) + 0.5 * plain.levels[target.end] * moved
        torch.testing.assert_close(
            steady.losses(off, target, latents), expected, rtol=1e-4, atol=1e-5
        )
    one = [x[:, :, :1] for x in (right, latents)]  # a single frame has no changes
    single = target._replace(sample=target.sample[:, :, :1], prediction=one[0])
    assert steady.losses(*one[:1], single, one[1]).tolist() == [0.0, 0.0]


def test_softness_costs_where_texture_counts():
    """A student that says the mean of stripes pays; one that says them shifted by a cell does not."""
    shape = (2, 3, 3, 8, 8)
    stripes = torch.arange(8.0).remainder(2).expand(shape)
    plain, sharp = distillation(), distillation(texture=0.5)
    start = torch.tensor([0, 15])
    target = Target(torch.zeros(shape), plain.times[start], stripes, start, start + 5)
    level = plain.levels[target.end]
    at = plain.levels[start].reshape(-1, 1, 1, 1, 1)
    for made, missed in ((stripes.flip(-1), 0.0), (torch.full(shape, 0.5), 1.0)):
        says = -made / (1 - at).sqrt()  # x_0 = α x - σ v, and x is 0
        costs = sharp.losses(says, target, stripes) - plain.losses(says, target, stripes)
        # of three frames and two changes only the frames have variation to miss
        expected = 0.5 * level * missed * ((1 + 1e-4) ** 0.5 - 1e-4**0.5) * 3 / 5
        torch.testing.assert_close(costs, expected, rtol=1e-3, atol=1e-5)


class Answers:
    """Stands for a student's networks: what it predicts at every time."""

    def __init__(self, predict):
        self._predict = predict

    def answer(self, seen, noisy, t, recompute=False):
        return self._predict(noisy, t)


def seen_of(latents: torch.Tensor, noise: torch.Tensor) -> Seen:
    nothing = latents[:, :0]
    t = torch.tensor([999, 130])[: len(latents)]
    return Seen(latents, noise, t, nothing, (True,) * len(latents), {}, nothing, nothing)


@pytest.mark.parametrize("student_steps", [1, 2, 4])
def test_from_the_data_a_student_learns_where_all_its_steps_lead(student_steps):
    """Its error is of what the product's own loop samples, and goes back to its first step."""
    walk = distillation(student_steps=student_steps, method="data", along=0.0)
    noise, latents = normal(13)[:1], normal(14)[:1]
    said = {int(t): normal(20 + int(t))[:1].requires_grad_() for t in walk.times[:: walk.stride]}
    lesson = DataLesson(walk, None)
    losses = lesson.row_losses(Answers(lambda x, t: said[int(t[0])]), seen_of(latents, noise))
    sampled = whole_walk(noise, student_steps, lambda x, t: said[int(t[0])].detach(), guidance=1.0)
    expected = (sampled - latents).square().flatten(1).mean(dim=1)
    torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-5)
    losses.sum().backward()
    gradients = [prediction.grad for prediction in said.values()]
    assert all(gradient is not None and gradient.abs().max() > 0 for gradient in gradients)


def test_on_the_way_to_the_data_what_earlier_steps_mean_counts_too():
    """Of a student whose every step says the same clean latents, off by 0.1: each step once."""
    exact = knows_the_deviation(0.0, mean=0.8)
    latents = torch.full(SHAPE, 0.7)
    lesson = DataLesson(distillation(method="data", along=0.5, huber=0.0), None)
    losses = lesson.row_losses(Answers(exact), seen_of(latents, normal(15)))
    assert losses.tolist() == pytest.approx([0.01 * (1 + 3 * 0.5)] * 2, rel=1e-3)


def test_alone_the_first_step_has_to_lead_to_the_data():
    """In so many of the batches, as chance has it by their times: one step is judged, and learns."""
    noise, latents = normal(13)[:1], normal(14)[:1]
    walk = distillation(method="data", alone=0.3, huber=0.0)
    lesson, counts = DataLesson(walk, None), []
    for t in range(0, 1000, 3):
        said = []

        def answer(x, t, said=said):
            said.append(normal(20 + int(t))[:1])
            return said[-1]

        seen = seen_of(latents, noise)._replace(t=torch.tensor([t]))
        losses = lesson.row_losses(Answers(answer), seen)
        counts.append(len(said))
        if len(said) == 1:  # x_0 = -v where there is no signal yet
            expected = (-said[0] - latents).square().flatten(1).mean(dim=1)
            torch.testing.assert_close(losses, expected, rtol=1e-3, atol=1e-4)
    assert set(counts) == {1, 4}
    assert counts.count(1) / len(counts) == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize(("asked", "steps"), [(None, 4), (1, 1), (2, 2)])
def test_its_files_ask_for_all_steps_or_for_as_many_as_they_should(asked, steps):
    profile = student_profile(FAMILIES["moore"], DistillationConfig(default_steps=asked))
    assert (profile.num_inference_steps, profile.distilled_steps) == (steps, steps)
    assert profile.guidance_scale == 1.0


def shown(latents: torch.Tensor) -> Shown:
    """Latents with features that depend on them."""
    return Shown(latents, latents.mean(dim=1, keepdim=True).expand(-1, 2, -1, -1, -1))


def test_student_and_critic_learn_against_each_other_in_one_pass():
    torch.manual_seed(0)
    critic, level = Critic(4, 2), torch.tensor([1.0, 0.5])
    made, real = normal(10).requires_grad_(), shown(normal(11))
    losses = adversarial_losses(critic, shown(made), real, level, weight=0.5)
    assert losses.shape == (2,)
    losses.sum().backward()
    # the critic's gradients are those of telling both apart alone ...
    told = torch.nn.functional.softplus
    own = Critic(4, 2)
    own.load_state_dict(critic.state_dict())
    apart = told(own(shown(made.detach()), level)) + told(-own(real, level))
    apart.flatten(1).mean(dim=1).sum().backward()
    for mine, theirs in zip(critic.parameters(), own.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)
    # ... and a step along the student's makes it look more real
    assert made.grad is not None
    with torch.no_grad():
        better = critic(shown(made - made.grad / made.grad.norm()), level).mean()
        assert better > critic(shown(made), level).mean()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"distillation": {"teacher_steps": 10}}, r"teacher_steps \(10\) must be a multiple of"),
        ({"init": {"kind": "scratch"}}, "Stage 3 makes a student of a trained model"),
        (
            {"distillation": {"method": "consistency"}, "optimizer": {"ema_decay": 0.0}},
            "learns from the student's own average",
        ),
        (
            {"distillation": {"method": "magic"}},
            "one of trajectory, consistency, data, got 'magic'",
        ),
        ({"distillation": {"alone": 0.5}}, r"distillation\.alone looks at where all steps"),
        (
            {"distillation": {"method": "data", "alone": 0.5}, "run": {"shard": "full"}},
            r"must take the same: set run\.shard to no",
        ),
        ({"distillation": {"default_steps": 3}}, r"default_steps \(3\) must divide"),
        ({"stage": 4}, r"1 \(pictures\), 2 \(clips\) or 3 \(distillation\), got 4"),
    ],
)
def test_what_stage_3_cannot_do_is_said(changes, message):
    with pytest.raises(SettingsError, match=message):
        make_config(TrainConfig, merge(*recipe_settings("distill"), changes))
