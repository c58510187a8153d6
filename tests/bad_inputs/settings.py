"""`config.json` and its like in a model's folder, and settings in the header of a weight file."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from bad_inputs.harness import Case
from bad_inputs.material import HOSTILE, Material, Raw, call, safetensors_bytes, to_json

from animate_anyone_core.checkpoints.families import MOORE

#: Values of a key that are right, by key; all others of HOSTILE are wrong.
_RIGHT: dict[str, set[str]] = {
    "num_attention_heads": {"null"},
    "sample_size": {"null"},
    "attention_dropout": {"zero", "fraction"},
    "initializer_range": {"zero", "fraction"},
    "initializer_factor": {"zero", "fraction"},
    "scaling_factor": {"fraction"},
    "force_upcast": {"flag"},
    "use_quant_conv": {"flag"},
    "use_post_quant_conv": {"flag"},
    "mid_block_add_attention": {"flag"},
    "shift_factor": {"null", "zero"},
    "center_input_sample": set(),
    "flip_sin_to_cos": {"flag"},
    "use_linear_projection": set(),
    "freq_shift": {"zero"},
    "do_center_crop": {"flag"},
    "do_convert_rgb": {"flag", "null"},
    "do_normalize": {"flag"},
    "do_rescale": {"flag"},
    "do_resize": {"flag"},
    "resample": {"zero"},
    "size": {"null", "billion"},
    "crop_size": {"null", "billion"},
    "in_mid_block": {"flag"},
    "recomputes_table": {"flag"},
    "rescale_betas_zero_snr": {"flag"},
    "name": {"text"},
    "context_overlap": {"zero"},
    "guidance_scale": {"negative", "zero", "fraction"},
    "beta_end": {"fraction"},
}
_UNET_KEYS = (
    "block_out_channels",
    "cross_attention_dim",
    "layers_per_block",
    "attention_head_dim",
    "norm_num_groups",
    "norm_eps",
    "in_channels",
    "out_channels",
    "down_block_types",
    "up_block_types",
    "act_fn",
    "downsample_padding",
    "flip_sin_to_cos",
    "freq_shift",
    "mid_block_scale_factor",
    "use_linear_projection",
    "num_attention_heads",
    "center_input_sample",
)
_VAE_KEYS = (
    "block_out_channels",
    "down_block_types",
    "up_block_types",
    "layers_per_block",
    "act_fn",
    "latent_channels",
    "norm_num_groups",
    "in_channels",
    "out_channels",
    "scaling_factor",
    "shift_factor",
    "sample_size",
    "force_upcast",
    "use_quant_conv",
    "mid_block_add_attention",
)
_ENCODER_KEYS = (
    "hidden_size",
    "intermediate_size",
    "projection_dim",
    "num_hidden_layers",
    "num_attention_heads",
    "num_channels",
    "image_size",
    "patch_size",
    "hidden_act",
    "layer_norm_eps",
    "attention_dropout",
    "initializer_range",
    "initializer_factor",
)
#: Right as a setting, but not these weights'; or hardly a difference: not tried.
_LEFT_OUT = {("norm_eps", "fraction")}
_MORE_LISTS: dict[str, list[Any]] = {
    "block_out_channels": [
        [],
        [32],
        [0, 0],
        [-32, 64],
        [10**9, 64],
        [32, "x"],
        [32, 64] * 500,
        [[32], 64],
        [31, 64],
        [True, 64],
    ],
    "down_block_types": [
        [],
        ["x", "y"],
        ["CrossAttnDownBlock2D"],
        ["DownBlock2D"] * 500,
        [None, None],
        [3, 4],
    ],
}


def _hostile(keys: tuple[str, ...]) -> Iterator[tuple[str, str, Any]]:
    """(what, key, value) of every key and every value that is wrong for it."""
    for key in keys:
        right = _RIGHT.get(key, set())
        for name, value in HOSTILE.items():
            if name not in right and (key, name) not in _LEFT_OUT:
                yield f"{key} {name}", key, value
        for word in ("NaN", "-Infinity", "1e999", "7" * 400):
            yield f"{key} {word[:9]}", key, Raw(word)


def unet(m: Material) -> Iterator[Case]:
    for name, key, value in _hostile(_UNET_KEYS):
        text = to_json({**m.settings(""), key: value})
        yield m.animate(name, m.model_with({"config.json": text}))
    for key, values in _MORE_LISTS.items():
        for value in values:
            text = to_json({**m.settings(""), key: value})
            yield m.animate(f"{key} {str(value)[:30]}", m.model_with({"config.json": text}))


def unet_of_others(m: Material) -> Iterator[Case]:
    for key, value in {
        "class_embed_type": "timestep",
        "addition_embed_type": "text",
        "encoder_hid_dim": 768,
        "time_embedding_type": "fourier",
        "resnet_time_scale_shift": "scale_shift",
        "dual_cross_attention": True,
        "only_cross_attention": True,
        "conv_in_kernel": 5,
        "num_class_embeds": 1000,
        "mid_block_type": "UNetMidBlock2D",
        "attention_type": "gated",
        "transformer_layers_per_block": [1, 2, 10],
        "time_cond_proj_dim": 256,
        "class_embeddings_concat": True,
        "cross_attention_norm": "layer_norm",
        "resnet_skip_time_act": True,
        "resnet_out_scale_factor": 2.0,
        "timestep_post_act": "silu",
        "addition_time_embed_dim": 10**9,
        "reverse_transformer_layers_per_block": [[1]],
    }.items():
        text = to_json({**m.settings(""), key: value})
        yield m.animate(f"{key} {value}", m.model_with({"config.json": text}))


def _part(m: Material, part: str, keys: tuple[str, ...]) -> Iterator[Case]:
    for name, key, value in _hostile(keys):
        text = to_json({**m.settings(part), key: value})
        yield m.animate(name, m.model_with({f"{part}/config.json": text}))


def vae(m: Material) -> Iterator[Case]:
    yield from _part(m, "vae", _VAE_KEYS)


def vae_kind(m: Material) -> Iterator[Case]:
    for value in (
        None,
        3,
        [],
        {},
        "",
        "x",
        "os.system",
        "UNet2DConditionModel",
        "../vae",
        ["AutoencoderKL"],
        "AutoencoderKLWan",
        "AsymmetricAutoencoderKL",
        "__class__",
        "AutoencoderTiny",
    ):
        text = to_json({**m.settings("vae"), "_class_name": value})
        yield m.animate(f"_class_name {value}", m.model_with({"vae/config.json": text}))


def encoder(m: Material) -> Iterator[Case]:
    yield from _part(m, "image_encoder", _ENCODER_KEYS)


def encoder_kind(m: Material) -> Iterator[Case]:
    for value in (None, 3, [], {}, "", "x", "bert", "siglip_vision_model", ["clip"], "../clip"):
        text = to_json({**m.settings("image_encoder"), "model_type": value})
        yield m.animate(f"model_type {value}", m.model_with({"image_encoder/config.json": text}))
    for value in (None, 3, [], "x", {"hidden_size": -1}, {"hidden_size": "x"}):
        text = to_json({"model_type": "clip", "vision_config": value})
        yield m.animate(f"vision_config {value}", m.model_with({"image_encoder/config.json": text}))


def preprocessor(m: Material) -> Iterator[Case]:
    def with_text(name: str, text: str) -> Case:
        return m.animate(name, m.model_with({"image_encoder/preprocessor_config.json": text}))

    for name, key, value in _hostile(
        ("image_mean", "image_std", "do_normalize", "do_rescale", "resample", "size", "crop_size")
    ):
        if (key, name) not in {("size", "size object"), ("crop_size", "crop_size object")}:
            yield with_text(name, to_json({key: value}))
    for value in ([0.5, 0.5, 0.5], [0, 0, 0], [1, 2], [[0.48], [0.45], [0.4]], [-1, -1, -1]):
        yield with_text(f"image_mean {value}", to_json({"image_mean": value}))
    for name in ("size", "crop_size"):
        for value in ({"height": -1}, {"height": "x", "width": 3}, {"shortest_edge": None}):
            yield with_text(f"{name} {value}", to_json({name: value}))


_PLACES = ("config.json", "vae/config.json", "image_encoder/config.json")


def syntax(m: Material) -> Iterator[Case]:
    for place in (*_PLACES, "image_encoder/preprocessor_config.json"):
        for name, text in {
            "empty": "",
            "cut": '{"a": [1, ',
            "list": "[]",
            "number": "3",
            "text": '"x"',
            "null": "null",
            "nested": '{"a": ' + "[" * 10_000 + "]" * 10_000 + "}",
            "open": "[" * 100_000,
            "utf-16": "{}".encode("utf-16"),
            "not utf-8": b"{\xff}",
            "nul": b"\0" * 50,
            "digits": '{"a": ' + "9" * 5000 + "}",
            "after the end": "{} {}",
            "html": "<html></html>",
        }.items():
            yield m.animate(f"{place}: {name}", m.model_with({place: text}))
        large = '{"a": "' + "x" * 2**21 + '"}'
        yield m.animate(f"{place}: too large", m.model_with({place: large}))


def special_files(m: Material) -> Iterator[Case]:
    for name, path in m.specials():
        for place in _PLACES[1:]:
            folder = m.model_linking(place, path)
            yield m.animate(f"{place}: {name}", folder)
    for name in ("not there", "a file", "empty"):
        path = {"not there": m.path(), "a file": m.picture, "empty": m.path("_empty")}[name]
        if name == "empty":
            path.mkdir()
        for option in ("vae", "image_encoder"):
            yield m.animate(f"--{option}: {name}", **{option: path})
        yield m.animate(f"--models: {name}", path)


def _header(m: Material, name: str, settings: Any) -> Case:
    if not m.is_real:
        return m.animate(name)
    text = settings if isinstance(settings, str) else to_json(settings)
    body = safetensors_bytes(m.weights("denoising_unet"), {"animate_anyone": text})
    return m.animate(name, m.model_with({"denoising_unet.safetensors": body}))


def _motion_header(m: Material, name: str, settings: Any) -> Case:
    if not m.is_real:
        return m.animate(name)
    body = safetensors_bytes(m.weights("motion_module"), {"animate_anyone": to_json(settings)})
    return m.animate(name, m.model_with({"motion_module.safetensors": body}))


def header_unet(m: Material) -> Iterator[Case]:
    for name, key, value in _hostile(
        ("block_out_channels", "layers_per_block", "norm_num_groups", "attention_head_dim")
    ):
        yield _header(m, name, {"unet": {**m.settings(""), key: value}})


def header_temporal(m: Material) -> Iterator[Case]:
    good = {"max_frames": 12, "num_attention_heads": 8, "norm_num_groups": 32, "in_mid_block": True}
    for name, key, value in _hostile(tuple(good)):
        if key == "num_attention_heads" and name.endswith("null"):
            value = []
        yield _motion_header(m, name, {"temporal": {**good, key: value}})
    for name, change in {
        "a longer table": {"max_frames": 99},
        "an unknown key": {"color": 1},
        "groups that do not divide": {"norm_num_groups": 5},
        "heads that do not divide": {"num_attention_heads": 7},
    }.items():
        yield _motion_header(m, name, {"temporal": {**good, **change}})


def header_profile(m: Material) -> Iterator[Case]:
    good = MOORE.to_json()
    for name, key, value in _hostile(tuple(key for key in good if key != "noise")):
        if key == "extra_inputs" and value == []:
            continue  # as every family without has it
        yield _header(m, name, {"profile": {**good, key: value}})
    for change in ({"color": 1}, {"drawing": "nothing"}, {"width": 33}, {"context_overlap": 24}):
        yield _header(m, f"{change}", {"profile": {**good, **change}})


def header_noise(m: Material) -> Iterator[Case]:
    good = asdict(MOORE.noise)
    for name, key, value in _hostile(tuple(good)):
        yield _header(m, name, {"profile": {**MOORE.to_json(), "noise": {**good, key: value}}})
    for change in ({"beta_start": 0.5}, {"beta_schedule": "cubic"}, {"color": 1}):
        noise = {**good, **change}
        yield _header(m, f"{change}", {"profile": {**MOORE.to_json(), "noise": noise}})


def header_shape(m: Material) -> Iterator[Case]:
    for name, text in {
        "empty": "",
        "cut": '{"unet": ',
        "list": "[]",
        "pairs": '[["unet", 3]]',
        "number": "3",
        "nested": "[" * 10_000,
        "digits": '{"stage": ' + "9" * 5000 + "}",
        "nan": '{"stage": NaN}',
        "unknown": '{"color": 1}',
        "null": "null",
        "text": '"x"',
    }.items():
        yield _header(m, name, text)
    for key in ("unet", "temporal", "profile"):
        for value in (None, 3, "x", [], [1], True):
            settings = {key: value}
            yield (
                _motion_header(m, f"{key} {value}", settings)
                if key != "unet"
                else _header(m, f"{key} {value}", settings)
            )
    for value in (-1, 4, "x", None, 1.5, True):
        yield _header(m, f"stage {value}", {"stage": value})


def other_commands(m: Material) -> Iterator[Case]:
    for key in ("block_out_channels", "norm_num_groups", "layers_per_block"):
        for name in ("negative", "zero", "vast", "text", "nested"):
            text = to_json({**m.settings(""), key: HOSTILE[name]})
            yield m.inspect(f"inspect: {key} {name}", m.model_with({"config.json": text}))
    text = to_json({**m.settings("vae"), "latent_channels": -4})
    yield m.inspect("inspect: vae", m.model_with({"vae/config.json": text}))
    text = to_json({**m.settings("image_encoder"), "patch_size": 0})
    yield m.inspect("inspect: image encoder", m.model_with({"image_encoder/config.json": text}))
    yield call(
        "animate",
        "family",
        {
            "reference": m.picture,
            "poses": m.video,
            "output": "OUT/a.mp4",
            "family": "x",
        },
    )


KINDS = {
    "config.json of the UNet": unet,
    "config.json of another UNet": unet_of_others,
    "config.json of the VAE": vae,
    "config.json: kind of VAE": vae_kind,
    "config.json of the image encoder": encoder,
    "config.json: kind of image encoder": encoder_kind,
    "preprocessor_config.json": preprocessor,
    "config.json: no JSON": syntax,
    "special files as config.json": special_files,
    "header settings: UNet": header_unet,
    "header settings: temporal layers": header_temporal,
    "header settings: profile": header_profile,
    "header settings: noise": header_noise,
    "header settings: shape": header_shape,
    "config.json seen by inspect": other_commands,
}
