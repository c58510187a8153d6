"""Named recipes: settings of whole runs, as data.

`builtin-stage1` and `builtin-stage2` train the toy model that ships with the pack; the other
`builtin-` recipes train its parts. `moore-stage1` and `moore-stage2` are the published training;
`distill` and `moore-distill` make students of trained models.
"""

from typing import Any

from ...errors import SettingsError

_BUILTIN_NETWORK: dict[str, Any] = {
    "unet": {
        "in_channels": 16,
        "out_channels": 16,
        "block_out_channels": [48, 80],
        "attention_levels": [True, True],
        "layers_per_block": 1,
        "num_attention_heads": 2,
        "cross_attention_dim": 64,
        "norm_num_groups": 8,
    },
    "temporal": {"max_frames": 24, "num_attention_heads": 4, "norm_num_groups": 8},
    "guider_widths": [8, 16, 32, 64],
    "profile": "builtin",
}

_BUILTIN: dict[str, Any] = {
    "seed": 1,
    "network": _BUILTIN_NETWORK,
    "data": {"kind": "dancers", "width": 128, "height": 128},
    "objective": {"noise": {"beta_schedule": "scaled_linear"}},
    "init": {"vae": "built-in", "image_encoder": "built-in"},
    "run": {
        "sample_guidance": 1.5,
        "mixed_precision": "bf16",
        "attention": "matmul",
        "channels_last": True,
        "half_precision_files": True,
    },
}

_MOORE: dict[str, Any] = {
    "data": {"kind": "clips"},
    "objective": {"noise": {"beta_schedule": "scaled_linear"}},
    "network": {"profile": "moore"},
    "init": {"kind": "files"},
    "run": {"mixed_precision": "fp16", "sample_guidance": 3.5},
}

_BUILTIN_STAGE1: dict[str, Any] = {
    "stage": 1,
    "steps": 3300,
    "batch_size": 8,  # times 4 targets: 32 pictures a step
    "data": {"num_frames": 4, "cache_scenes": 3000, "cache_frames": 5},
    "optimizer": {
        "kind": "muon",
        "orthogonal_lr": 0.02,
        "lr": 1e-3,
        "lr_schedule": "cosine",
        "lr_warmup_steps": 40,
        "ema_decay": 0.998,
        "trained_reference": "all",
    },
    "run": {"checkpoint_every": 200, "sample_every": 400, "num_samples": 8},
}

_BUILTIN_STAGE2: dict[str, Any] = {
    "stage": 2,
    "steps": 900,
    "batch_size": 3,
    "data": {"num_frames": 12, "cache_scenes": 500, "cache_frames": 17},
    "optimizer": {
        "kind": "muon",
        "orthogonal_lr": 0.02,
        "lr": 1e-3,
        "lr_schedule": "cosine",
        "lr_warmup_steps": 20,
        "ema_decay": 0.99,
    },
    "init": {"kind": "files"},
    "run": {"checkpoint_every": 100, "sample_every": 200, "num_samples": 4},
}

#: Later data: most references stand as users' pictures do, backs are seen more often, and a share of
#: the skeletons lack face and hands; noisy times, where poses are settled, are drawn more often.
_STANDING: dict[str, Any] = {
    "seed": 11,
    "data": {"bare": 0.15, "standing": 0.65},
    "objective": {"time_bias": 1.6, "unconditional_rate": 0.07, "noise_offset": 0.0},
    "init": {"kind": "files"},
}

_REPLACE: dict[str, Any] = {
    "network": {"profile": "builtin-replace", "extra_inputs": ["target", "mask"]},
    "data": {"kind": "replaced-dancers"},
    "init": {"kind": "files"},
}

_CHARACTER: dict[str, Any] = {
    "stage": 1,
    # pictures of one character may all be near each other in time
    "data": {"kind": "clips", "sample_margin": 1},
    "lora": {"networks": ["denoising_unet", "reference_net"]},
    "init": {"kind": "files"},
    "run": {"checkpoint_every": 100},
}

_DISTILL: dict[str, Any] = {
    "stage": 3,
    "init": {"kind": "files"},
    "objective": {"unconditional_rate": 0.0, "noise_offset": 0.0},
    "optimizer": {"trained_reference": "none"},
    "lora": {"networks": ["denoising_unet", "temporal"]},  # where its rank is set
}

_BUILTIN_DISTILL: dict[str, Any] = {
    "seed": 5,
    "steps": 100,  # longer is softer again: the student learns what its critic looks for
    "batch_size": 1,
    "data": {"num_frames": 12, "cache_scenes": 200, "cache_frames": 13},
    "init": dict.fromkeys(("unet", "reference", "pose_guider"), "built-in"),
    # guided by 2, four steps of this teacher are as sharp as its twenty by 1.5, and tremble more
    "distillation": {
        "teacher_steps": 4,
        "guidance": 2.0,
        "start": "own",
        "adversarial": 0.03,
        "steadiness": 0.3,
        "texture": 2.5,
        "overlap": 0,
        "reach": 1.25,
    },
    "optimizer": {"lr": 1e-4, "lr_warmup_steps": 20, "ema_decay": 0.98},
    "run": {"checkpoint_every": 25, "sample_every": 100, "num_samples": 4},
}

#: A student goes on by itself: where its four steps lead from pure noise is compared with the data.
_STUDENT_LONGER: dict[str, Any] = {
    "seed": 11,
    "steps": 700,
    "data": {"cache_scenes": 800, "cache_frames": 17, "bare": 0.15, "standing": 0.65},
    "distillation": {
        "method": "data",
        "huber": 0.3,
        "adversarial": 0.15,
        "steadiness": 0.2,
        "texture": 1.5,
        "detail": 3.0,  # without, longer wins decibels and loses detail
        "origin": "built-in",
        "reach": 1.4,
    },
    "optimizer": {"lr": 3e-4, "lr_schedule": "cosine", "ema_decay": 0.99},
}

#: The student is wider than its teacher where its cells are few, which costs room, and hardly any time.
_WIDER: dict[str, Any] = {"init": {"widths": [48, 128]}}

#: The student's pictures: from little but noise, with attention told where to look and what to carry.
_STUDENT_PICTURES: dict[str, Any] = {
    "seed": 51,
    "steps": 4200,
    "data": {"cache_scenes": 6000, "cache_frames": 7, "behind": 0.15, "standing": 0.95},
    "objective": {
        "time_bias": 8.0,
        "unconditional_rate": 0.0,
        "pointing": 0.015,
        "carrying": 0.05,
        "body": 2.0,
    },
    "optimizer": {"orthogonal_lr": 0.012, "lr": 6e-4},
}

#: And its clips: mostly its first step by itself, which is all that its files ask for.
_STUDENT_CLIPS: dict[str, Any] = {
    "seed": 21,
    "steps": 240,
    "batch_size": 2,
    "data": {"cache_scenes": 1000, "behind": 0.12, "standing": 0.95},
    "objective": {"shared_noise": 0.8, "body": 1.5},
    "distillation": {
        "alone": 0.65,
        "detail": 8.0,
        "pixels": 10.0,
        "default_steps": 1,
        "origin": None,
        "reach": 0.8,
    },
}

#: Recipe -> (what it trains, tables of settings laid over each other from left to right).
RECIPES: dict[str, tuple[str, tuple[dict[str, Any], ...]]] = {
    "builtin-stage1": (
        "the built-in model's ReferenceNet, Pose Guider and spatial UNet",
        (_BUILTIN, _BUILTIN_STAGE1),
    ),
    "builtin-stage1-longer": (
        "the same, going on with 3,000 other characters; needs --init-from",
        (
            _BUILTIN,
            _BUILTIN_STAGE1,
            {
                "seed": 2,
                "steps": 5000,
                "optimizer": {"orthogonal_lr": 0.015, "lr": 7.5e-4},
                "init": {"kind": "files"},
            },
        ),
    ),
    "builtin-stage1-standing": (
        "the same, going on with references that stand and more backs; needs --init-from",
        (
            _BUILTIN,
            _BUILTIN_STAGE1,
            _STANDING,
            {
                "steps": 2100,
                "data": {"cache_frames": 7, "behind": 0.15},
                "optimizer": {"orthogonal_lr": 0.015, "lr": 7.5e-4},
            },
        ),
    ),
    "builtin-stage2": (
        "the built-in model's temporal layers",
        (_BUILTIN, _BUILTIN_STAGE2),
    ),
    "builtin-stage2-longer": (
        "the same, going on with 1,500 clips; needs --init-from and init.motion",
        (
            _BUILTIN,
            _BUILTIN_STAGE2,
            {"steps": 1300, "batch_size": 6, "data": {"cache_scenes": 1500}},
        ),
    ),
    "builtin-stage2-whole": (
        "the denoising UNet, temporal and spatial layers together; needs --init-from and init.motion",
        (
            _BUILTIN,
            _BUILTIN_STAGE2,
            _STANDING,
            {
                "steps": 1000,
                "batch_size": 4,
                "data": {"cache_scenes": 800},
                "objective": {"time_bias": 1.4},
                "optimizer": {
                    "orthogonal_lr": 0.006,
                    "lr": 3e-4,
                    "ema_decay": 0.98,
                    "trained_spatial": True,
                },
            },
        ),
    ),
    "builtin-replace-stage1": (
        "the built-in model learns to put a character in a person's place",
        (
            _BUILTIN,
            _BUILTIN_STAGE1,
            _REPLACE,
            {
                "seed": 4,
                "steps": 720,
                "data": {"cache_scenes": 900, "cache_frames": 6},
                "optimizer": {"orthogonal_lr": 0.01, "lr": 1e-3, "trained_reference": "none"},
                "init": dict.fromkeys(("unet", "reference", "pose_guider"), "built-in"),
            },
        ),
    ),
    "builtin-replace-stage2": (
        "the temporal layers of the same; needs --init-from",
        (
            _BUILTIN,
            _BUILTIN_STAGE2,
            _REPLACE,
            {
                "seed": 4,
                "steps": 400,
                "data": {"cache_scenes": 120, "cache_frames": 15},
                "optimizer": {"orthogonal_lr": 0.01, "lr": 5e-4},
                "init": {"motion": "built-in"},
            },
        ),
    ),
    "builtin-character": (
        "the built-in model learns one character of yours; needs --data",
        (
            _BUILTIN,
            _CHARACTER,
            {
                "steps": 200,
                "batch_size": 2,  # times 4 targets
                "data": {
                    "num_frames": 4,
                    "prior": "dancers",
                    "cache_scenes": 64,
                    "cache_frames": 8,
                    # as the model has learned dancers: never from nearer by
                    "crop_scale": 1.0,
                    "crop_ratio": 1.0,
                },
                "lora": {"rank": 16},
                "optimizer": {"lr": 3e-3, "lr_schedule": "cosine", "lr_warmup_steps": 10},
                "init": dict.fromkeys(("unet", "reference", "pose_guider"), "built-in"),
                "run": {"sample_every": 100, "num_samples": 4},
            },
        ),
    ),
    "character": (
        "LoRA for one character of yours, 5 to 100 pictures or clips; needs --init-from and --data",
        (
            _MOORE,
            _CHARACTER,
            {
                "steps": 1000,
                "batch_size": 2,
                "data": {"width": 512, "height": 768},
                "lora": {"rank": 16},
                "optimizer": {"lr": 1e-4, "lr_warmup_steps": 20},
                "run": {"memory": "12gb", "sample_every": 100, "num_samples": 4},
            },
        ),
    ),
    "distill": (
        "a student of 4 steps without guidance, of the built-in model or of --init-from",
        (_BUILTIN, _DISTILL, _BUILTIN_DISTILL),
    ),
    "builtin-student-longer": (
        "a student of the built-in model learns from the data, all its steps at once; needs --init-from",
        (_BUILTIN, _DISTILL, _BUILTIN_DISTILL, _STUDENT_LONGER),
    ),
    "builtin-student-pictures": (
        "pictures that the student's first step makes of noise; needs --init-from",
        (_BUILTIN, _BUILTIN_STAGE1, _STANDING, _WIDER, _STUDENT_PICTURES),
    ),
    "builtin-student-clips": (
        "the student's clips, mostly of one step; needs --init-from and init.motion",
        (_BUILTIN, _DISTILL, _BUILTIN_DISTILL, _STUDENT_LONGER, _WIDER, _STUDENT_CLIPS),
    ),
    "moore-stage1": (
        "the published stage 1: 768x768 pictures, needs init.unet and data.path",
        (
            _MOORE,
            {
                "stage": 1,
                "steps": 30_000,
                "batch_size": 4,
                "data": {"width": 768, "height": 768},
                "optimizer": {"lr": 1e-5},
            },
        ),
    ),
    "moore-stage2": (
        "the published stage 2: 24 frames of 512x512, needs --init-from and init.motion",
        (
            _MOORE,
            {
                "stage": 2,
                "steps": 10_000,
                "batch_size": 1,
                "data": {"width": 512, "height": 512, "num_frames": 24, "crop_scale": 1.0},
                "optimizer": {"lr": 1e-5},
                "run": {"gradient_checkpointing": True},
            },
        ),
    ),
    "moore-distill": (
        "a student of published weights, a LoRA: 24 frames of 512x512, needs --init-from and data.path",
        (
            _MOORE,
            _DISTILL,
            {
                "steps": 5000,
                "batch_size": 1,
                "data": {"width": 512, "height": 512, "num_frames": 24, "crop_scale": 1.0},
                "distillation": {"start": "own", "adversarial": 0.03},
                "lora": {"rank": 64},
                "optimizer": {"lr": 1e-4, "lr_warmup_steps": 100},
                "run": {"memory": "24gb"},
            },
        ),
    ),
}

#: Recipes with a training of their own -> (module in this folder, what it trains). The module
#: offers `run_recipe(output, on_step)`.
PART_RECIPES: dict[str, tuple[str, str]] = {
    "builtin-codec": ("codec", "the built-in model's VAE"),
    "builtin-codec-decoder": ("codec_decoder", "its decoder, from clips that the models make"),
    "builtin-image-encoder": ("image_encoder", "the built-in model's image encoder"),
    "builtin-pose": ("pose_networks", "the built-in model's person detector and pose estimator"),
    "builtin-pose-doubt": ("pose_doubt", "the same, to lower scores where no drawn dancer is"),
    "builtin-samples": ("builtin_samples", "the sample inputs that ship with the pack"),
}


def recipe_settings(name: str) -> tuple[dict[str, Any], ...]:
    """The tables of settings of a recipe.

    Raises:
        SettingsError: If there is no such recipe.
    """
    if name not in RECIPES:
        names = ", ".join((*RECIPES, *PART_RECIPES))
        raise SettingsError(f"Unknown recipe {name!r}. Known: {names}.")
    return RECIPES[name][1]
