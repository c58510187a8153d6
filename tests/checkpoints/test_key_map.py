"""Published names to ours and back, on every published key."""

import pytest
import torch

from animate_anyone_core.checkpoints.convert import published_weights
from animate_anyone_core.checkpoints.key_map import (
    is_position_table,
    is_temporal,
    to_published_key,
    to_tree_key,
    without_prefix,
)
from tests.published_keys import published_temporal_names


@pytest.fixture(scope="module")
def remap():
    return published_temporal_names()


def unets(published_keys):
    return {
        f"{family}/{name}": keys
        for family, files in published_keys.items()
        for name, keys in files.items()
        if "unet" in name or "motion" in name
    }


def test_back_is_the_inverse_of_there_on_all_published_keys(published_keys):
    files = unets(published_keys)
    assert len(files) >= 14
    for name, keys in files.items():
        for key in keys:
            assert to_published_key(to_tree_key(key)) == key, (name, key)
        assert len({to_tree_key(key) for key in keys}) == len(keys)


def test_spatial_keys_keep_their_names(published_keys):
    for key in published_keys["moore"]["denoising_unet.pth"]:
        assert not is_temporal(key)
        assert to_tree_key(key) == to_published_key(key) == key


def test_the_names_in_diffusers_own_class_agree(remap):
    """Position tables apart: diffusers has one a block, the files one an attention."""
    assert len(remap) == 588
    for published, ours in remap.items():
        assert is_temporal(published)
        if is_position_table(published):
            assert ours is None or ours.endswith(".pos_embed.pe")
        else:
            assert to_tree_key(published) == ours


def test_our_own_keys_stay_as_they_are(remap):
    for ours in filter(None, remap.values()):
        assert to_tree_key(ours) == ours


def test_diffusers_names_become_published_ones_with_two_tables(remap):
    weights = {ours: torch.zeros(1) for ours in remap.values() if ours}
    assert set(published_weights(weights)) == set(remap)


@pytest.mark.parametrize(
    "prefix",
    [
        *("module.", "model.", "unet.", "_orig_mod.", "ema."),
        *("module.module.", "module._orig_mod.", "_orig_mod.module.unet."),
    ],
)
def test_a_wrappers_prefix_is_taken_off(prefix):
    weights = {f"{prefix}a": torch.zeros(1), f"{prefix}b.c": torch.ones(1)}
    assert set(without_prefix(weights)) == {"a", "b.c"}
    weights["other"] = torch.zeros(1)
    assert set(without_prefix(weights)) == set(weights)
    assert without_prefix({}) == {}
