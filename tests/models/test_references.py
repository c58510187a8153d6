"""Several pictures as one reference, and how strongly it is read, against the formula."""

import pytest
import torch
from torch.testing import assert_close

from animate_anyone_core.errors import SettingsError, ShapeError
from animate_anyone_core.models import slices
from animate_anyone_core.models.attention import scaled_dot_product
from animate_anyone_core.models.interventions import Interventions
from animate_anyone_core.models.reference_mixing import SpatialContext, mixed_attention
from animate_anyone_core.models.references import Reference, combine_references, place_characters


@pytest.fixture
def features(reference_net, normal):
    return lambda height=8, width=6: reference_net(normal(1, 4, height, width), normal(1, 1, 24))


@pytest.fixture
def window(normal):
    """Two rows, three frames: what the network is called with."""
    return normal(2, 4, 3, 8, 6), torch.tensor([499.0]), normal(2, 1, 24)


def tokens(features, normal):
    return Reference(normal(1, 1, 24), features)


def run(unet, window, features, strengths=None, bias=None):
    sample, t, appearance = window
    with torch.no_grad():
        return unet(sample, t, Reference(appearance, features, bias), strengths=strengths)


def off(actual, expected):
    return float((actual - expected).norm() / expected.norm())


# Strength


def test_full_strength_is_bit_equal_to_no_strength_given(unet, window, features):
    one = features()
    assert torch.equal(run(unet, window, one, (1.0, 1.0)), run(unet, window, one))
    assert torch.equal(run(unet, window, one, (0.0, 1.0)), run(unet, window, one, (False, True)))


def test_no_strength_is_bit_equal_to_no_reference(unet, window, features):
    assert torch.equal(run(unet, window, features(), (0.0, 0.0)), run(unet, window, {}))


def test_every_row_has_its_own_strength(unet, window, features):
    one = features()
    both = run(unet, window, one, (0.3, 1.4))
    for row, strength in enumerate((0.3, 1.4)):
        single = tuple(x[row : row + 1] if x.shape[0] == 2 else x for x in window)
        alone = run(unet, single, one, (strength,))
        assert off(both[row : row + 1], alone) < 1e-5


def test_strength_is_linear_in_the_attentions_output(unet, normal):
    """One layer: read with s is s of the way from not reading to reading."""
    attn = unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1
    x, seen = normal(3, 12, 32), normal(1, 9, 32)

    def read(*strengths):
        reference = Reference(normal(3, 1, 24), {"here": seen})
        context = SpatialContext(reference, strengths, scaled_dot_product, Interventions())
        return mixed_attention(attn, x, "here", context)

    none, full = read(0.0, 0.0, 0.0), read(1.0, 1.0, 1.0)
    assert off(full, none) > 1e-2
    mixed = read(0.25, 1.75, 1.0)
    for row, strength in enumerate((0.25, 1.75, 1.0)):
        assert_close(mixed[row], none[row] + strength * (full[row] - none[row]))


# Several pictures


def test_the_same_picture_twice_is_that_picture(unet, window, features, normal):
    one = tokens(features(), normal)
    alone = run(unet, window, one.features)
    for share in (0.5, 0.2):
        twice = combine_references(one, one, share)
        got = run(unet, window, twice.features, bias=twice.bias)
        assert off(got, alone) < 1e-5
        assert_close(twice.appearance, one.appearance)
    thrice = combine_references(combine_references(one, one, 0.5), one, 1 / 3)
    assert off(run(unet, window, thrice.features, bias=thrice.bias), alone) < 1e-5


def test_a_whole_share_is_one_picture_alone(features, normal):
    first, second = tokens(features(), normal), tokens(features(), normal)
    assert combine_references(first, second, 0.0) is first
    assert combine_references(first, second, 1.0) is second


def test_the_order_of_the_pictures_does_not_matter(unet, window, features, normal):
    first, second = tokens(features(), normal), tokens(features(6, 10), normal)
    ab, ba = combine_references(first, second, 0.3), combine_references(second, first, 0.7)
    assert_close(ab.appearance, ba.appearance)
    a = run(unet, window, ab.features, (0.0, 1.0), ab.bias)
    b = run(unet, window, ba.features, (0.0, 1.0), ba.bias)
    assert off(a, b) < 1e-5
    alone = run(unet, window, first.features, (0.0, 1.0))
    assert off(a, alone) > 1e-3


def test_tokens_of_a_share_weigh_that_share_in_the_softmax(normal):
    """The kernel's bias against the softmax written out."""
    q, k, v = normal(2, 5, 16), normal(2, 7, 16), normal(2, 7, 16)
    weights = torch.tensor([1, 1, 1, 0.3, 0.3, 0.7, 0.7])
    got = scaled_dot_product(q, k, v, 4, bias=weights.log()[None])
    heads = (x.unflatten(-1, (4, 4)).transpose(1, 2).double() for x in (q, k, v))
    q, k, v = heads
    scores = (q @ k.mT / 2).exp() * weights.double()
    expected = (scores / scores.sum(-1, keepdim=True)) @ v
    assert_close(got, expected.transpose(1, 2).flatten(2).float())


def test_rows_with_references_of_their_own_keep_their_own_weights(unet, window, features, normal):
    parts = [tokens(features(), normal) for _ in range(4)]
    pairs = [combine_references(*parts[:2], 0.2), combine_references(*parts[2:], 0.9)]
    both = run(
        unet,
        window,
        {path: torch.cat([pair.features[path] for pair in pairs]) for path in pairs[0].features},
        bias={path: torch.cat([pair.bias[path] for pair in pairs]) for path in pairs[0].bias},
    )
    for row, pair in enumerate(pairs):
        single = tuple(x[row : row + 1] if x.shape[0] == 2 else x for x in window)
        alone = run(unet, single, pair.features, bias=pair.bias)
        assert off(both[row : row + 1], alone) < 1e-5


def test_references_of_other_models_are_refused(features, normal):
    one = tokens(features(), normal)
    wider = Reference(normal(1, 1, 32), one.features)
    with pytest.raises(ShapeError, match="come from different models"):
        combine_references(one, wider, 0.5)


def test_a_share_outside_is_refused(features, normal):
    one = tokens(features(), normal)
    with pytest.raises(SettingsError, match=r"from 0 to 1, got 1\.2"):
        combine_references(one, one, 1.2)


class TestPlaces:
    """Several characters, each read where it is."""

    @pytest.fixture
    def given(self, normal, reference_net):
        """Two characters, a window of three frames of 6x4 cells, poses."""
        characters = []
        for _ in range(2):
            appearance = normal(1, 1, 24)
            characters.append(Reference(appearance, reference_net(normal(1, 4, 6, 4), appearance)))
        return (*characters, normal(1, 4, 3, 6, 4), normal(1, 32, 3, 6, 4))

    def test_everywhere_is_that_character_and_nowhere_the_background(self, unet, given):
        a, b, sample, pose = given
        t = torch.tensor([480])
        everywhere = place_characters(a, [(b, torch.ones(3, 6, 4))])
        nowhere = place_characters(a, [(b, torch.zeros(3, 6, 4))])
        assert torch.equal(unet(sample, t, everywhere, pose=pose), unet(sample, t, b, pose=pose))
        assert torch.equal(unet(sample, t, nowhere, pose=pose), unet(sample, t, a, pose=pose))

    def test_a_later_character_lies_in_front(self, unet, given):
        a, b, sample, pose = given
        t, full = torch.tensor([480]), torch.ones(3, 6, 4)
        front = place_characters(a, [(a, full), (b, full)])
        assert torch.equal(unet(sample, t, front, pose=pose), unet(sample, t, b, pose=pose))

    def test_a_query_reads_the_character_of_its_place_only(self, image_unet, given, normal):
        """In the first spatial attention, before cells look at each other."""
        a, b, sample, _ = given
        where = torch.zeros(3, 6, 4)
        where[1, :, :2] = 1
        seen = {}

        def run(reference):
            block = image_unet.down_blocks[0].attentions[0].transformer_blocks[0]
            found = []
            hook = block.norm2.register_forward_pre_hook(lambda m, x: found.append(x[0]))
            hook_out = block.attn1.to_out[0].register_forward_hook(lambda m, i, o: found.append(o))
            image_unet(sample, torch.tensor([480]), reference)
            hook.remove()
            hook_out.remove()
            return found[0].reshape(3, 6, 4, -1)

        for name, reference in (("a", a), ("b", b), ("both", place_characters(a, [(b, where)]))):
            seen[name] = run(reference)
        chosen = where[..., None].bool()
        assert_close(seen["both"], torch.where(chosen, seen["b"], seen["a"]))
        assert not torch.allclose(seen["a"], seen["b"])

    def test_the_unconditional_row_sees_nobody(self, unet, given):
        a, b, sample, pose = given
        t, pair = torch.tensor([480]), sample.expand(2, -1, -1, -1, -1)
        half = torch.zeros(3, 6, 4)
        half[:, :3] = 1
        placed = place_characters(a, [(b, half)]).with_appearance(
            lambda x: torch.cat([torch.zeros_like(x), x])
        )
        out = unet(pair, t, placed, strengths=(0.0, 1.0), pose=pose)
        nobody = Reference(torch.zeros(1, 1, 24), {})
        assert_close(out[:1], unet(sample, t, nobody, pose=pose), rtol=1e-4, atol=1e-4)
        alone = unet(sample, t, place_characters(a, [(b, half)]), pose=pose)
        assert_close(out[1:], alone, rtol=1e-4, atol=1e-4)

    def test_places_stay_with_their_frames_where_layers_run_in_slices(
        self, unet, given, monkeypatch
    ):
        a, b, sample, pose = given
        where = torch.zeros(3, 6, 4)
        where[1, :, :2] = 1
        both = place_characters(a, [(b, where)])
        whole = unet(sample, torch.tensor([480]), both, pose=pose)
        monkeypatch.setattr(slices, "CPU_CELLS", 1)
        sliced = unet(sample, torch.tensor([480]), both, pose=pose)
        assert_close(sliced, whole, atol=1e-5, rtol=1e-4)
        assert not torch.allclose(whole, unet(sample, torch.tensor([480]), a, pose=pose), atol=1e-3)

    def test_keys_made_once_are_those_of_every_character(self, unet, given):
        a, b, sample, pose = given
        both = place_characters(a, [(b, torch.ones(3, 6, 4))])
        projected = unet.project_reference(both)
        assert projected.others[0].reference.features == {}
        t = torch.tensor([480])
        assert torch.equal(unet(sample, t, projected, pose=pose), unet(sample, t, both, pose=pose))

    def test_places_follow_the_window(self, given):
        a, b, *_ = given
        where = torch.arange(5.0)[:, None, None].expand(5, 6, 4)
        placed = place_characters(a, [(b, where)])
        assert placed.at([3, 1]).others[0].where[:, 0, 0].tolist() == [3.0, 1.0]
        assert a.at([0]) is a

    def test_what_does_not_belong_together_is_refused(self, unet, given):
        a, b, sample, pose = given
        other = Reference(b.appearance[..., :5], b.features)
        with pytest.raises(ShapeError, match="The references come from different models"):
            place_characters(a, [(other, torch.ones(3, 6, 4))])
        with pytest.raises(ShapeError, match="Characters need places of one shape"):
            place_characters(a, [(b, torch.ones(3, 6, 4)), (a, torch.ones(2, 6, 4))])
        with pytest.raises(ShapeError, match="place is known in 2 frames, but the window has 3"):
            unet(
                sample,
                torch.tensor([1]),
                place_characters(a, [(b, torch.ones(2, 6, 4))]),
                pose=pose,
            )


def test_placed_characters_are_not_averaged_or_nested(features, normal):
    a, b = (Reference(normal(1, 1, 24), features()) for _ in range(2))
    placed = place_characters(a, [(b, torch.ones(2, 8, 6))])
    with pytest.raises(SettingsError, match="can only be the first"):
        place_characters(a, [(placed, torch.ones(2, 8, 6))])
    with pytest.raises(SettingsError, match="can only be the first"):
        combine_references(placed, b, 0.5)
    more = place_characters(placed, [(a, torch.zeros(2, 8, 6))])
    assert [other.reference for other in more.others] == [b, a]


def test_keys_and_values_made_once_give_the_same_bits(unet, reference_net, normal):
    """In every frame, for rows that share the reference and for rows with one each."""
    sample, t = normal(2, 4, 3, 6, 4), torch.tensor([480])
    for pictures in (1, 2):
        appearance = normal(2, 1, 24)
        features = reference_net(normal(pictures, 4, 6, 4), appearance[:pictures])
        reference = Reference(appearance, features)
        projected = unet.project_reference(reference)
        assert not projected.features
        assert projected.is_shared == reference.is_shared == (pictures == 1)
        for strengths in ((0.0, 1.0), (0.5, 1.0)):
            expected = unet(sample, t, reference, strengths=strengths)
            assert torch.equal(unet(sample, t, projected, strengths=strengths), expected)


def test_keys_and_values_of_weighted_pictures_keep_their_weights(unet, reference_net, normal):
    appearance = normal(1, 1, 24)
    one, other = (
        Reference(appearance, reference_net(normal(1, 4, 6, 4), appearance)) for _ in "12"
    )
    both = combine_references(one, other, 0.3)
    sample, t = normal(1, 4, 2, 6, 4), torch.tensor([480])
    assert torch.equal(unet(sample, t, unet.project_reference(both)), unet(sample, t, both))
