"""Files of poses: nested, too large, of other types, damaged."""

from collections.abc import Iterator

from bad_inputs.harness import Case
from bad_inputs.material import Material, Raw, to_json

DEPTHS = (33, 200, 1000, 10_000, 100_000)
DIGITS = {count: Raw("7" * count) for count in (100, 400, 4301, 5000, 100_000)}
_TOP = ("width", "height", "num_frames", "num_persons")
_BAD_TYPES = {
    "null": None,
    "true": True,
    "text": "12",
    "list": [3],
    "object": {"a": 1},
    "fraction": 3.7,
}


def nested(m: Material) -> Iterator[Case]:
    for depth in DEPTHS:
        for name, text in {
            "lists": "[" * depth + "]" * depth,
            "objects": '{"a":' * depth + "1" + "}" * depth,
            "open lists": "[" * depth,
            "both": '[{"a":' * (depth // 2) + "1" + "}]" * (depth // 2),
        }.items():
            yield m.draw(f"{depth} {name}", m.write(text, ".json"))
        deep = Raw("[" * depth + "]" * depth)
        yield m.draw(f"{depth} in points", _ours(m, points=deep))
        yield m.draw(f"{depth} in people", _theirs(m, people=deep))
        yield m.draw(f"{depth} in a person", _theirs(m, pose_keypoints_2d=deep))
        yield m.draw(f"{depth} in an unknown key", _theirs(m, extra=deep))


def _ours(m: Material, **changes):
    return m.write(to_json(m.document(**changes)), ".json")


def _theirs(m: Material, **changes):
    return m.write(to_json([m.keypoints(**changes)]), ".json")


def many_digits(m: Material) -> Iterator[Case]:
    for count, number in DIGITS.items():
        for field in (*_TOP, "fps", "version"):
            yield m.draw(f"{field} of {count} digits", _ours(m, **{field: number}))
        for field in ("canvas_width", "canvas_height", "aa_fps"):
            yield m.draw(f"{field} of {count} digits", _theirs(m, **{field: number}))
        document = m.document()
        document["points"][0][0][3] = number
        yield m.draw(f"a point of {count} digits", m.write(to_json(document), ".json"))
        frame = m.keypoints()
        frame["people"][0]["pose_keypoints_2d"][0] = number
        yield m.draw(f"a keypoint of {count} digits", m.write(to_json(frame), ".json"))
        fraction = Raw("0." + "3" * count)
        yield m.draw(f"fps of {count} decimals", _ours(m, fps=fraction))


def sizes(m: Material) -> Iterator[Case]:
    for value in (10**9, 2**31, 2**63, 10**30, 100_000, -1, -(10**9)):
        for field in _TOP:
            yield m.draw(f"{field} {value}", _ours(m, **{field: value}))
        for field in ("canvas_width", "canvas_height"):
            yield m.draw(f"{field} {value}", _theirs(m, **{field: value}))
    for field in ("width", "height"):
        yield m.draw(f"{field} 0", _ours(m, **{field: 0}))
        yield m.draw(f"canvas_{field} 0", _theirs(m, **{f"canvas_{field}": 0}))
    yield m.draw("a canvas too large to draw", _ours(m, width=9000, height=9000))
    for value in (1e300, 1e9, 0.5, -3.0):
        yield m.draw(f"canvas_width {value}", _theirs(m, canvas_width=value))
        yield m.draw(f"width {value}", _ours(m, width=value))


def other_types(m: Material) -> Iterator[Case]:
    for name, value in _BAD_TYPES.items():
        for field in _TOP:
            yield m.draw(f"{field} {name}", _ours(m, **{field: value}))
        for field in ("points", "scores"):
            yield m.draw(f"{field} {name}", _ours(m, **{field: value}))
        if name != "fraction":
            yield m.draw(f"version {name}", _ours(m, version=value))
        if name not in ("null", "fraction"):
            yield m.draw(f"fps {name}", _ours(m, fps=value))
            yield m.draw(f"aa_fps {name}", _theirs(m, aa_fps=value))
            yield m.draw(f"canvas {name}", _theirs(m, canvas_width=value, canvas_height=value))
        if name not in ("null", "list"):
            yield m.draw(f"people {name}", _theirs(m, people=value))
        if name not in ("null", "object"):
            yield m.draw(f"a person {name}", _theirs(m, people=[value]))
            yield m.draw(f"a part {name}", _theirs(m, pose_keypoints_2d=value))
        yield m.draw(f"a frame {name}", m.write(to_json([value]), ".json"))
    for name, value in {"text": "5", "true": True, "list": [1], "object": {}}.items():
        document, frame = m.document(), m.keypoints()
        document["points"][0][0][0] = value
        frame["people"][0]["pose_keypoints_2d"] = [value] + [1.0] * 53
        if name != "true":
            yield m.draw(f"a number {name}", m.write(to_json(document), ".json"))
            yield m.draw(f"a keypoint's number {name}", m.write(to_json(frame), ".json"))


def not_finite(m: Material) -> Iterator[Case]:
    for word in ("NaN", "Infinity", "-Infinity", "1e999", "-1e999"):
        for field in (*_TOP, "fps"):
            yield m.draw(f"{field} {word}", _ours(m, **{field: Raw(word)}))
        yield m.draw(f"canvas {word}", _theirs(m, canvas_width=Raw(word)))
        yield m.draw(f"aa_fps {word}", _theirs(m, aa_fps=Raw(word)))
        document = m.document()
        document["scores"][0][0][0] = Raw(word)
        yield m.draw(f"a score {word}", m.write(to_json(document), ".json"))


def counts(m: Material) -> Iterator[Case]:
    for frames, persons in ((1, 1), (3, 1), (2, 2), (0, 1), (2, 0), (1, 2)):
        name = f"said {frames} frames, {persons} persons"
        yield m.draw(name, _ours(m, num_frames=frames, num_persons=persons))
    for length in (1, 3, 53, 55, 57, 76, 402):
        yield m.draw(f"body of {length}", _theirs(m, pose_keypoints_2d=[1.0] * length))
    for key in ("format", "version", "width", "points", "scores", "num_frames", "fps"):
        document = m.document()
        del document[key]
        yield m.draw(f"without {key}", m.write(to_json(document), ".json"))
    for key in ("people", "canvas_width"):
        frame = m.keypoints()
        del frame[key]
        yield m.draw(f"a frame without {key}", m.write(to_json([frame]), ".json"))
    two = [m.keypoints(), m.keypoints(canvas_width=64)]
    yield m.draw("two canvases", m.write(to_json(two), ".json"))
    yield m.draw("no frames", m.write("[]", ".json"))


def syntax(m: Material) -> Iterator[Case]:
    good = to_json(m.document())
    for name, text in {
        "empty": "",
        "blank": "  \n ",
        "cut": good[:-50],
        "cut in a number": good[:300],
        "data after the end": good + "{}",
        "garbage after the end": good + "\0\0\0",
        "comment": "// poses\n" + good,
        "single quotes": good.replace('"', "'"),
        "comma": good[:-1] + ",}",
        "byte order mark alone": "\ufeff",
        "no value": '{"format":}',
        "python": "None",
        "two lines": good + "\n" + good,
        "utf-16": good.encode("utf-16"),
        "utf-32": good.encode("utf-32"),
        "not utf-8": b'{"format": "\xff\xfe"}',
        "nul": b"\0" * 99,
        "html": "<!doctype html><html></html>",
        "yaml": "format: poses\nwidth: 3\n",
        "escape": '"\\x"',
        "half a surrogate": b'{"a": "\xed\xa0\x80"}',
        "a video": m.video.read_bytes(),
        "a picture": m.picture.read_bytes(),
        "plus": '{"width": +3}',
        "hex": '{"width": 0x10}',
        "leading zero": '{"width": 010}',
        "open text": '{"format": "animate',
    }.items():
        yield m.draw(name, m.write(text, ".json"))


def far_away(m: Material) -> Iterator[Case]:
    for value in (1e7, -1e7, 1e18, 1e30, 1e154, 1e200, 1e308, -1e308):
        document, frame = m.document(), m.keypoints()
        document["points"][1][0][5] = value
        frame["people"][0]["pose_keypoints_2d"][4] = value
        yield m.draw(f"a point at {value}", m.write(to_json(document), ".json"))
        yield m.draw(f"a keypoint at {value}", m.write(to_json(frame), ".json"))
        if value > 0:
            document = m.document()
            document["scores"][0][0][7] = value
            yield m.retarget(f"a score of {value}", driver=m.write(to_json(document), ".json"))


def crowds(m: Material) -> Iterator[Case]:
    frame = m.keypoints()
    frame["people"] = frame["people"] * 1001
    yield m.draw("1001 people", m.write(to_json([frame]), ".json"))
    slots = [m.keypoints() for _ in range(150)]
    for one in slots:
        one["people"][0]["aa_person"] = 999
    yield m.draw("a slot of 999 in 150 frames", m.write(to_json(slots), ".json"))
    empty = '{"people":[],"canvas_width":9,"canvas_height":9}'
    crowd = m.write("[" + ",".join([empty] * 120_000) + "]", ".json")
    yield m.draw("120,000 frames", crowd)
    yield m.draw("a million empty lists", m.write("[" + "[],[],[],[]," * 600_000 + "[]]", ".json"))
    yield m.draw("many numbers", m.write("[" + "0," * 25_000_000 + "0]", ".json"))
    for size in (2**30, 2**40):
        path = m.path(".json")
        with path.open("wb") as file:
            file.truncate(size)
        yield m.draw(f"a file of {size} bytes", path)


def other_programs(m: Material) -> Iterator[Case]:
    coco = {"images": [], "annotations": [{"keypoints": [0] * 51}], "categories": []}
    for name, value in {
        "animals": [{"version": "ap10k", "animals": [[[1, 2, 3]]], "canvas_width": 9}],
        "animals nested": [{"version": [[1]], "animals": []}],
        "coco": coco,
        "a list of texts": ["a"],
        "a list of lists": [[1, 2]],
        "a number": 3,
        "true": True,
        "null": None,
        "a text": "poses",
        "mediapipe": {"landmarks": [{"x": 1, "y": 2}]},
        "workflow": {"nodes": [], "links": []},
        "settings": {"_class_name": "UNet2DConditionModel"},
        "unknown version": m.document(version=99),
        "no such format": m.document(format="other"),
    }.items():
        yield m.draw(name, m.write(to_json(value), ".json"))
        yield m.retarget(f"{name} as reference", reference=m.write(to_json(value), ".json"))


def folders(m: Material) -> Iterator[Case]:
    good = to_json([m.keypoints()])
    for name, content in {
        "two frames in a file": to_json([m.keypoints(), m.keypoints()]),
        "nested": "[" * 10_000,
        "ours": to_json(m.document()),
        "empty file": "",
        "text": "x",
        "another canvas": to_json([m.keypoints(canvas_height=99)]),
        "a list of none": "[]",
        "digits": to_json([m.keypoints(canvas_width=DIGITS[5000])]),
    }.items():
        folder = m.path("_frames")
        folder.mkdir()
        (folder / "1.json").write_text(good)
        (folder / f"{'9' * 200}.json").write_text(content)
        yield m.draw(name, folder)
    for name, path in m.specials():
        folder = m.path("_frames")
        folder.mkdir()
        (folder / "1.json").write_text(good)
        (folder / "2.json").symlink_to(path)
        yield m.draw(f"holds a {name}", folder)
    yield m.draw("empty", m.path("_nothing").parent / "nothing")


def special_files(m: Material) -> Iterator[Case]:
    for name, path in m.specials():
        yield m.draw(f"poses: {name}", path)
        yield m.retarget(f"driver: {name}", driver=path)
        yield m.retarget(f"reference: {name}", reference=path)


KINDS = {
    "poses nested": nested,
    "poses: numbers of many digits": many_digits,
    "poses: sizes": sizes,
    "poses of other types": other_types,
    "poses: not finite": not_finite,
    "poses: counts": counts,
    "poses: no JSON": syntax,
    "poses far away": far_away,
    "poses: crowds and masses": crowds,
    "poses of other programs": other_programs,
    "poses in folders": folders,
    "special files as poses": special_files,
}
