"""Values of commands' options."""

from collections.abc import Iterator
from pathlib import Path

from bad_inputs.harness import Case
from bad_inputs.material import Material, to_json

_NOT_FINITE = ("nan", "inf", "-inf", "1e999", "-1e999")
_HUGE = ("9" * 30, "9" * 5000, "-" + "9" * 30, "1e9", "0x10", "1.5", "", "x", "٣x", "1 2")
_PATHS = {
    "nul": "a\0b.png",
    "surrogate": "a\ud800.png",
    "long name": "x" * 300 + ".png",
    "long path": "/".join(["y" * 200] * 30),
    "very long": "z" * 9000,
    "empty": "",
}


def video_size(m: Material) -> Iterator[Case]:
    for width, height in (
        (10**6, 10**6),
        (8200, 64),
        (64, 8200),
        (8192, 8192),
        (4104, 4096),
        (10**9, 8),
        (2**31, 2**31),
        (0, 0),
        (-8, 40),
        (8, 8),
        (33, 40),
        (32, 41),
        (-(10**9), -(10**9)),
        (1, 1),
        (10**30, 8),
    ):
        yield m.animate(f"animate {width}x{height}", width=width, height=height)
        is_drawn = (width, height) in ((33, 40), (1, 1))  # drawing takes any size
        if not is_drawn and (width % 2 or width < 1 or width > 4100):
            yield m.draw(f"draw {width}x{height}", m.poses, width=width, height=height)


def memory(m: Material) -> Iterator[Case]:
    """Sizes that are sizes, but whose windows fit nowhere."""
    long = m.write(to_json(m.document(frames=600)), ".json")
    for width, height in ((4096, 4096), (4096, 4088), (4088, 4096)):
        yield m.animate(
            f"{width}x{height}",
            Path("built-in"),  # wide enough: the tiny networks may fit
            poses=long,
            width=width,
            height=height,
            max_frames=None,
        )


def windows(m: Material) -> Iterator[Case]:
    for window in (999_999, 10**9, 13, 4097, 0, -1, 10**30):
        yield m.animate(f"window {window}", window=window)
    for overlap in (999_999, 12, 24, -1, 10**30):
        yield m.animate(f"overlap {overlap}", overlap=overlap)
    yield m.animate("overlap as long as the window", window=4, overlap=4)


def not_finite(m: Material) -> Iterator[Case]:
    for value in _NOT_FINITE:
        for option in ("guidance", "fps"):
            yield m.animate(f"animate {option} {value}", **{option: value})
        yield m.draw(f"draw fps {value}", m.poses, fps=value)
        yield m.detect(f"seen-score {value}", m.picture, seen_score=value)
        for option in ("strength", "offset_x", "offset_y", "scale"):
            yield m.retarget(f"{option} {value}", **{option: value})


def out_of_range(m: Material) -> Iterator[Case]:
    for option, values in {
        "strength": (-0.1, 1.1, 1e9),
        "scale": (0, -1, 1e9),
        "offset_x": (1e9, -1e300),
        "offset_y": (1e30,),
        "align_frame": (-1, 2, 10**9),
        "window": (2, 10**9),
        "detail_window": (4, 10**9),
        "max_gap": (-1, 10**9),
        "person_frame": (),
    }.items():
        for value in values:
            yield m.retarget(f"{option} {value}", **{option: value})
    for option, values in {
        "steps": (0, -1, 1001, 10**9),
        "seed": (-1, 2**64, 10**30),
        "fps": (0, -1, 1e9, 1001),
        "guidance": (1e9, -1e300),
        "max_frames": (0, -1, 10**9),
    }.items():
        for value in values:
            yield m.animate(f"{option} {value}", **{option.replace("_", "-"): value})
    for option, values in {
        "interval": (0, -1, 10**9),
        "batch_size": (0, -1, 10**9),
        "seen_score": (0, -1, 1e9),
        "max_frames": (0, -5, 10**9),
    }.items():
        for value in values:
            yield m.detect(f"{option} {value}", m.picture, **{option: value})
    for value in (0, -1, 1001, 1e9):
        yield m.draw(f"fps {value}", m.poses, fps=value)


def no_numbers(m: Material) -> Iterator[Case]:
    for value in _HUGE:
        for option in ("width", "steps", "seed", "window"):
            if (option, value) != ("seed", "-" + "9" * 30):
                yield m.animate(f"{option} {value[:9]}", **{option: value})
        if value != "1.5":
            yield m.draw(f"height {value[:9]}", m.poses, height=value)
        yield m.retarget(f"align-frame {value[:9]}", align_frame=value)


def multipliers(m: Material) -> Iterator[Case]:
    for text in (
        "head=inf",
        "head=nan",
        "head=-inf",
        "head=1e999",
        "head=0",
        "head=-1",
        "head=1e9",
        "head=101",
        "head",
        "head=",
        "=2",
        "nose=2",
        "head=2,head=3",
        "head=x",
        "head=2;thigh=3",
        "head==2",
        "head=" + "9" * 400,
        "head=1e-999",
        ",".join(["head=1"] * 3),
        "head=0x10",
        "hea\0d=1",
        "[[head]]",
    ):
        yield m.retarget(text[:30], multiply=text)


def canvases(m: Material) -> Iterator[Case]:
    frame = m.keypoints()
    del frame["canvas_width"], frame["canvas_height"]
    plain = m.write(to_json([frame]), ".json")
    for text in (
        "0x0",
        "-1x5",
        "5",
        "x",
        "5x",
        "5x5x5",
        "1e3x9",
        "²x³",
        "٣x٣",
        "inf x inf",
        "999999999x9",
        "9" * 400 + "x9",
        "9" * 5000 + "x9",
        "16385x9",
        "9.5x9",
        "",
        "9x0",
    ):
        yield m.draw(text[:20], plain, canvas=text)


def persons(m: Material) -> Iterator[Case]:
    for text in (
        "nan",
        "inf",
        "nan,nan",
        "inf,3",
        "3,-inf",
        "1e999",
        "-1",
        "99",
        "1e18",
        "1.5",
        "x",
        "1,2,3",
        "",
        ",",
        "smallest",
        "9" * 400,
        "9" * 5000,
        "1,x",
        "٣,",
    ):
        yield m.draw(text[:20], m.poses, person=text)
        yield m.retarget(f"{text[:20]} as driver", person=text)
    for frame in (-1, 2, 10**9):
        yield m.draw(f"frame {frame}", m.poses, person="3,3", person_frame=frame)


def paths(m: Material) -> Iterator[Case]:
    for name, text in _PATHS.items():
        for option in ("reference", "poses", "models", "vae", "image_encoder"):
            yield m.animate(f"animate {option}: {name}", **{option: text})
        for option in ("video", "estimator", "detector"):
            yield m.detect(f"detect-pose {option}: {name}", **{"video": m.picture, option: text})
        yield m.draw(f"draw-pose poses: {name}", text)
        for option in ("driver", "reference"):
            yield m.retarget(f"retarget-pose {option}: {name}", **{option: text})
        yield m.inspect(f"inspect: {name}", text)


def devices(m: Material) -> Iterator[Case]:
    for text in ("x", "", "cuda:99", "cuda:x", "cpu:9:9", "meta:", "9", "/dev/null", "c\0u", "xla"):
        yield m.animate(f"animate {text}", device=text)


def words(m: Material) -> Iterator[Case]:
    for option in ("family", "fit", "schedule", "blending", "solver", "dtype"):
        for text in ("x", "", "None"):
            yield m.animate(f"{option} {text}", **{option: text})
    for option in ("style", "fit"):
        yield m.draw(f"{option} x", m.poses, **{option: "x"})
    for option in ("ratios", "root", "zoom"):
        yield m.retarget(f"{option} x", **{option: "x"})
    yield Case("no command", ())
    yield Case("an unknown command", ("dance",))
    yield Case("an unknown option", ("inspect", "--color=red", str(m.model)))
    yield Case("nothing to inspect", ("inspect",))
    yield m.animate("retarget a drawn video", retarget=True)


KINDS = {
    "options: size of the video": video_size,
    "options: more than memory": memory,
    "options: windows": windows,
    "options: not finite": not_finite,
    "options out of range": out_of_range,
    "options: no numbers": no_numbers,
    "options: multipliers": multipliers,
    "options: canvas": canvases,
    "options: person": persons,
    "options: paths": paths,
    "options: devices": devices,
    "options: words": words,
}
