"""The ablation bench: every variant is the network it claims to be, and trains as the trainer does."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from animate_anyone_core.checkpoints.key_map import is_temporal
from animate_anyone_core.checkpoints.weight_files import read_weights
from animate_anyone_core.errors import SettingsError
from animate_anyone_core.lab.evaluation.model_scores import MODEL_METRICS
from animate_anyone_core.lab.training.ablation.networks import (
    ABLATIONS,
    OURS,
    Ablation,
    make_ablation,
)
from animate_anyone_core.lab.training.ablation.paper import PAPER_TABLES, same_order, tables_text
from animate_anyone_core.lab.training.ablation.readers import READERS
from animate_anyone_core.lab.training.ablation.training import AblationSettings, AblationTrainer
from animate_anyone_core.lab.training.config import TrainConfig
from animate_anyone_core.lab.training.config_files import make_config
from animate_anyone_core.lab.training.frozen_encoders import Batch
from animate_anyone_core.lab.training.networks import LearningNetworks, Question, TrainedNetworks
from animate_anyone_core.lab.training.objective import Objective
from animate_anyone_core.models.attention import scaled_dot_product
from animate_anyone_core.models.interventions import Interventions
from animate_anyone_core.models.references import Reference

pytestmark = pytest.mark.slow

SETTINGS = AblationSettings(
    size=32, steps=2, temporal_steps=2, scenes=3, temporal_scenes=2, window=4, widths=(16, 16)
)


def draw(seed: int, *size: int) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def config(settings) -> TrainConfig:
    return make_config(TrainConfig, settings)


@pytest.fixture(scope="module")
def batch() -> Batch:
    return Batch(
        reference=draw(1, 2, 4, 8, 8),
        appearance=draw(2, 2, 1, 8),
        latents=draw(3, 2, 4, 2, 8, 8),
        skeletons=draw(4, 2, 3, 2, 64, 64).clamp(0, 1),
        noise=draw(5, 2, 4, 2, 8, 8),
        t=torch.tensor([[5, 600], [300, 999]]),
        is_conditional=torch.tensor([[True, False], [True, True]]),
    )


@pytest.fixture
def make(config, randomise):
    def build(reader: str, is_random: bool = True, **changes) -> LearningNetworks:
        torch.manual_seed(0)
        ablation = Ablation(reader=reader, **changes)
        networks = make_ablation(config.network, ablation, False, scaled_dot_product)
        return randomise(networks, 8) if is_random else networks

    return build


def predict(networks: LearningNetworks, reference, rows=(True, True)) -> torch.Tensor:
    prepared, appearance = networks.prepare(reference, draw(2, 1, 1, 8))
    with torch.no_grad():
        question = Question(
            draw(3, 2, 4, 2, 8, 8), torch.tensor([100, 700]), appearance.expand(2, -1, -1), rows
        )
        return networks.predict(question, prepared, draw(6, 1, 16, 2, 8, 8))


def test_ours_is_the_trainers_network(make):
    assert type(make("attention")) is TrainedNetworks


def without_reader(networks: LearningNetworks) -> dict[str, torch.Tensor]:
    """The weights that all networks have, whatever reads the reference."""
    own = ("denoising_unet.", "pose_guider.")
    return {k: v for k, v in networks.state_dict().items() if k.startswith(own)}


def test_with_nothing_to_read_all_readers_have_the_trainers_loss(config, batch, make):
    """One forward for all: rows that see no reference cannot tell who would have read it."""
    objective, losses = Objective(config.objective), []
    batch = replace(batch, is_conditional=torch.zeros_like(batch.is_conditional))
    shared = without_reader(make("attention"))
    for reader in ("attention", *READERS):
        networks = make(reader)
        networks.load_state_dict(shared, strict=False)
        with torch.no_grad():
            losses.append(networks(batch, objective))
    assert losses[0].shape == (4,)
    for loss in losses[1:]:
        torch.testing.assert_close(loss, losses[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("reader", ["attention", *READERS])
def test_every_reader_but_none_reads_the_reference(make, reader):
    networks = make(reader)
    one, other = (predict(networks, draw(seed, 1, 4, 8, 8)) for seed in (10, 11))
    assert torch.equal(one, other) == (reader == "none")


@pytest.mark.parametrize("reader", ["attention", *READERS])
def test_unconditional_rows_see_no_reference(make, reader):
    networks = make(reader)
    with_row, without = (
        predict(networks, draw(10, 1, 4, 8, 8), rows) for rows in ((True, True), (True, False))
    )
    plain = make("none")
    plain.load_state_dict(without_reader(networks))
    expected = predict(plain, draw(10, 1, 4, 8, 8))
    torch.testing.assert_close(without[1], expected[1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(without[0], with_row[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("reader", ["concatenation", "control"])
def test_the_rejected_readers_start_by_changing_nothing(make, reader):
    networks, plain = make(reader, is_random=False), make("none", is_random=False)
    plain.load_state_dict(without_reader(networks))
    reference = draw(10, 1, 4, 8, 8)
    torch.testing.assert_close(predict(networks, reference), predict(plain, reference))


def test_concatenation_looks_only_at_the_same_place(make):
    """One layer: a change of the reference at one place reaches only that token's key and value."""
    reader = make("concatenation").reader
    question = Question(draw(3, 1, 4, 1, 8, 8), torch.tensor([5]), draw(2, 1, 1, 8), (True,))
    own = draw(7, 1, 64, 16)
    answers = []
    for tokens in (draw(8, 1, 64, 16), draw(8, 1, 64, 16)):
        if answers:
            tokens[0, 9] += 1.0
        reading = reader.read(dict.fromkeys(reader.reference_net.feature_paths(), tokens), question)
        answers.append(reading.interventions.attention_inputs("attn1", own, own, own)[0])
    changed = (answers[0] != answers[1]).any(dim=-1)[0]
    assert changed.nonzero().flatten().tolist() == [9]


def test_control_adds_its_residuals_to_the_matching_skips(make):
    """Residuals of zero but for one constant equal a host that adds the constant to that skip."""
    networks = make("control")
    control = networks.reader.control_net
    for convolution in (*control.controlnet_down_blocks, control.controlnet_mid_block):
        torch.nn.init.zeros_(convolution.weight)
        torch.nn.init.zeros_(convolution.bias)
    torch.nn.init.constant_(control.controlnet_down_blocks[1].bias, 0.5)

    class AddsToSecondSkip(Interventions):
        count = len(control.controlnet_down_blocks)

        def before_output_block(self, h, skip):
            self.count -= 1
            return h, skip + 0.5 * (self.count == 1)

    seen = predict(networks, draw(10, 1, 4, 8, 8))
    plain = networks.denoising_unet(
        draw(3, 2, 4, 2, 8, 8),
        torch.tensor([100, 700]),
        Reference(draw(2, 1, 1, 8), {}),
        pose=draw(6, 1, 16, 2, 8, 8),
        interventions=AddsToSecondSkip(),
    )
    torch.testing.assert_close(seen, plain)


def test_without_clip_the_appearance_does_not_matter(make):
    for sees, is_same in ((True, False), (False, True)):
        networks = make("control", sees_appearance=sees)
        answers = [networks.prepare(draw(1, 1, 4, 8, 8), draw(s, 1, 1, 8))[1] for s in (1, 2)]
        assert torch.equal(*answers) == is_same


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """All variants, trained for two steps a stage."""
    output = tmp_path_factory.mktemp("ablation")
    names: list[str] = []

    def report(what):
        names.append(what)
        return lambda done, total: None

    trainer = AblationTrainer(SETTINGS, output, torch.device("cpu"))
    trained = {name: trainer.train(ablation, report) for name, ablation in ABLATIONS.items()}
    return output, trained, names


def test_what_variants_share_is_trained_once(bench):
    _, _, names = bench
    assert [name for name in names if name.startswith("train ")] == [
        "train none_stage1",
        "train none_stage2",
        "train control_no_clip_stage1",
        "train control_no_clip_stage2",
        "train control_stage1",
        "train control_stage2",
        "train concatenation_stage1",
        "train concatenation_stage2",
        "train attention_stage1",
        "train attention_joint",
        "train attention_stage2",
    ]


def test_stage_2_moves_only_temporal_layers(bench):
    output, _, _ = bench
    for reader in ("attention", *READERS):
        first, second = (
            read_weights(output / "trained" / f"{reader}_stage{stage}.safetensors")
            for stage in (1, 2)
        )
        moved = {name for name in first if not torch.equal(first[name], second[name])}
        assert not moved
        assert {is_temporal(name) for name in second.keys() - first.keys()} == {True}


def test_only_the_right_variants_have_temporal_layers(bench):
    _, trained, _ = bench
    for name, networks in trained.items():
        has_temporal = networks.denoising_unet.temporal is not None
        assert has_temporal == (name != "no temporal layers")


def test_joint_training_moves_everything(bench):
    output, _, _ = bench
    joint = read_weights(output / "trained" / "attention_joint.safetensors")
    staged = read_weights(output / "trained" / "attention_stage2.safetensors")
    assert joint.keys() == staged.keys()
    assert any(is_temporal(n) and not torch.equal(joint[n], staged[n]) for n in joint)
    assert any(not is_temporal(n) and not torch.equal(joint[n], staged[n]) for n in joint)


def test_joint_training_draws_as_many_pictures_as_both_stages(bench):
    """Stage 1 draws 3 scenes of 5 pictures, stage 2 draws 2 clips of 9: 33 pictures."""
    output, _, _ = bench
    drawn = {
        np.load(folder / "frames.npy", mmap_mode="r").shape[:2]
        for folder in (output / "scenes").glob("drawn_*")
        if (folder / "frames.npy").is_file()
    }
    assert drawn == {(3, 5), (2, 9), (3, 9)}, "no clip is drawn in part"


def test_networks_of_another_recipe_are_not_taken(bench):
    other = AblationTrainer(SETTINGS, bench[0], torch.device("cpu"))
    other.configs[1] = replace(other.configs[1], batch_size=7)
    with pytest.raises(SettingsError, match="was trained with other settings"):
        other.train(ABLATIONS[OURS], lambda what: lambda done, total: None)


def test_a_second_run_trains_nothing_and_gives_the_same(bench):
    output, trained, _ = bench
    names: list[str] = []
    trainer = AblationTrainer(SETTINGS, output, torch.device("cpu"))

    def report(what):
        names.append(what)
        return lambda done, total: None

    again = trainer.train(ABLATIONS[OURS], report)
    assert names == []
    first = trained[OURS].state_dict()
    assert all(torch.equal(first[name], value) for name, value in again.state_dict().items())


def test_networks_of_other_settings_are_not_taken(bench):
    other = AblationTrainer(replace(SETTINGS, scenes=4), bench[0], torch.device("cpu"))
    with pytest.raises(SettingsError, match="was trained with other settings"):
        other.train(ABLATIONS[OURS], lambda what: lambda done, total: None)


def test_orders_are_compared_pair_by_pair():
    table = PAPER_TABLES[0]  # FVD: ours, CLIP + ControlNet, CLIP, ControlNet

    def scores(*distances):
        names = (OURS, "CLIP + ControlNet", "CLIP", "ControlNet")
        return {
            name: dict.fromkeys(MODEL_METRICS, value)
            for name, value in zip(names, distances, strict=True)
        }

    assert same_order(table, scores(1.0, 2.0, 3.0, 4.0), "video_distance") == (6, 6)
    assert same_order(table, scores(2.0, 1.0, 3.0, 4.0), "video_distance") == (5, 6)
    assert same_order(table, scores(1.0, 2.0, 3.0, 4.0), "psnr") == (0, 6), "higher is better"
    assert same_order(table, scores(1.0, 1.0, 1.0, 1.0), "psnr") == (0, 6), "nothing is ordered"
    assert same_order(table, scores(1.0, 2.0, 3.0, float("nan")), "video_distance") == (3, 6)
    text = tables_text(scores(1.0, 2.0, 3.0, 4.0))
    assert "Table 4 of the paper" in text
    assert "| 208.5" in text
    assert "as the paper by FVD: 6 of 6 pairs" in text
    assert "Too little trained" not in text


@pytest.mark.parametrize(("repeated", "is_early"), [(15.0, True), (14.9, False)])
def test_networks_that_beat_no_still_picture_are_not_compared_in_earnest(repeated, is_early):
    scores = {
        OURS: dict.fromkeys(MODEL_METRICS, 15.0),
        "reference repeated": dict.fromkeys(MODEL_METRICS, repeated),
    }
    assert ("Too little trained to compare" in tables_text(scores)) == is_early


def test_the_command_prints_the_tables_and_writes_what_it_found(tmp_path, capsys):
    import json

    from animate_anyone_core.__main__ import main

    sizes = "--size 32 --steps 1 --temporal-steps 1 --scenes 2 --temporal-scenes 2 --window 4"
    scoring = "--clips 2 --frames 8 --sampling-steps 1 --device cpu --quick"
    arguments = ["benchmark", "ablations", "--output", str(tmp_path), *sizes.split()]
    assert main([*arguments, *scoring.split(), "--variants", "CLIP", OURS]) == 0
    out = capsys.readouterr().out
    assert "Trained for 1 + 1 steps on 32x32 pictures" in out
    assert "ordered by video_distance as the paper by FVD:" in out
    rows = json.loads((tmp_path / "scores.json").read_text())["rows"]
    assert list(rows) == ["truth", "reference repeated", "CLIP", OURS]
    assert np.isfinite(rows[OURS]["video_distance"])
    assert (tmp_path / "grid.png").is_file()
    document = json.loads((tmp_path / "scores.json").read_text())
    assert document["settings"]["window"] == 4
    assert document["too_little_trained"], "one step does not beat a still picture"
    order = document["tables"]["4"]["ordered_as_in_the_paper"]["video_distance"]
    assert order["pairs"] == 1
    found = rows[OURS]["video_distance"] < rows["CLIP"]["video_distance"]
    assert order["agree"] == int(found)
    assert document["tables"]["6"]["ordered_as_in_the_paper"]["psnr"]["pairs"] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--variants", "CLIP", "resnet"], "Unknown variant 'resnet'. Known: 'CLIP', 'ControlNet'"),
        (["--clips", "1"], "--clips must be at least 2, got 1."),
        (["--frames", "4"], "--frames must be at least 8, got 4."),
        (["--temporal-steps", "0"], "--temporal-steps must be at least 1, got 0."),
    ],
)
def test_bad_options_end_in_one_line(tmp_path, capsys, options, message):
    from animate_anyone_core.__main__ import main

    assert main(["benchmark", "ablations", "--output", str(tmp_path), *options]) == 2
    assert message in capsys.readouterr().err
