"""Pictures and videos that are none, too large, cut, or lead elsewhere."""

import struct
from collections.abc import Iterator

import av
import numpy as np
from bad_inputs.harness import Case
from bad_inputs.material import Material, call, picture_bytes, png
from PIL import Image


def cut_pictures(m: Material) -> Iterator[Case]:
    for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"):
        whole = picture_bytes(m.pixels, kind)
        for share in (0.02, 0.1, 0.5, 0.8):
            ending = ".png" if kind == "GIF" else f".{kind.lower()}"
            path = m.write(whole[: max(int(len(whole) * share), 3)], ending)
            yield m.detect(f"{kind} {share}", path)


def picture_bombs(m: Material) -> Iterator[Case]:
    bodies = {
        "png 16 bit": png(13000, 13000, 16),
        "png grey 16 bit": png(13000, 13000, 16, 0),
        "png 1 bit": png(60000, 60000, 1, 0),
        "png largest": png(2**31 - 1, 2**31 - 1),
        "png wide": png(2**31 - 1, 1),
        "png tall": png(16, 10**6),
        "png just over": png(8193, 8192),
        "ppm": b"P6\n30000 30000\n255\n" + b"\0" * 9,
        "ppm digits": b"P6\n" + b"9" * 400 + b" 10\n255\n",
        "gif": b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + _gif_frame(65535),
        "bmp": b"BM"
        + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 40000, 40000, 1, 24, 0, 0, 0, 0, 0, 0),
        "bmp palette": b"BM"
        + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 10**6, 10**5, 1, 1, 0, 0, 0, 0, 0, 0),
        "jpeg": _jpeg(65500, 65500, m),
        "jpeg progressive": _jpeg(60000, 40000, m),
        "webp": b"RIFF"
        + struct.pack("<I", 30)
        + b"WEBPVP8X"
        + struct.pack("<I", 10)
        + b"\0\0\0\0"
        + b"\xff\x3e\0\xff\x3e\0",
        "tiff": _tiff(20000, 20000),
        "tiff largest": _tiff(2**32 - 1, 2**32 - 1),
    }
    for name, body in bodies.items():
        yield m.detect(name, m.write(body, ".png"))
    packed = png(9000, 9000, 8, 0, b"\0" * (9001 * 9000)) if m.is_real else b""
    yield m.animate("png that unpacks to 81 MP", reference=m.write(packed, ".png"))
    path = m.path(".png")
    if m.is_real:
        Image.fromarray(np.zeros((8300, 8300), np.uint16)).save(path, compress_level=1)
    yield m.animate("real 16 bit of 69 MP", reference=path)


def _gif_frame(side: int) -> bytes:
    return b"," + struct.pack("<HHHHB", 0, 0, side, side, 0x80) + b"\0" * 6 + b"\x08\x01\0\0;"


def _jpeg(width: int, height: int, m: Material) -> bytes:
    body = bytearray(picture_bytes(m.pixels, "JPEG"))
    at = body.index(b"\xff\xc0") + 5
    body[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(body)


def _tiff(width: int, height: int) -> bytes:
    tags = (
        (256, 4, width),
        (257, 4, height),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, 100),
    )
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + b"\0" * 104


def small_pictures(m: Material) -> Iterator[Case]:
    for width, height in (
        (1, 1),
        (15, 100),
        (100, 15),
        (15, 15),
        (1, 4000),
        (2, 2),
        (0, 0),
        (0, 9),
    ):
        body = png(width, height, body=b"\0" * (3 * width + 1) * height)
        yield m.detect(f"{width}x{height}", m.write(body, ".png"))


def no_pictures(m: Material) -> Iterator[Case]:
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\n/s 1 def\nshowpage\n"
    bodies = {
        "eps": eps,
        "eps of dos": b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 32, len(eps)) + b"\0" * 20 + eps,
        "postscript": b"%!PS\n(/etc/passwd) (r) file\nshowpage\n",
        "pdf": b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\n%%EOF\n",
        "svg": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="99" height="99"/>',
        "svg with a link": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "xml bomb": b'<!DOCTYPE a [<!ENTITY b "'
        + b"c" * 999
        + b'"><!ENTITY d "&b;&b;">]><a>&d;</a>',
        "html": b"<!doctype html><html><body>404</body></html>",
        "text": b"this is not a picture",
        "empty": b"",
        "one byte": b"\x89",
        "zeros": b"\0" * 5000,
        "zip": b"PK\x03\x04" + b"\0" * 60,
        "program": b"\x7fELF" + b"\0" * 200,
        "lfs pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
        "wmf": b"\xd7\xcd\xc6\x9a" + b"\0" * 60,
        "icon": b"\0\0\x01\0\x01\0\x10\x10\0\0\x01\0\x20\0\x68\x04\0\0\x16\0\0\0" + b"\0" * 1200,
        "pcx": b"\x0a\x05\x01\x08\0\0\0\0\x27\0\x2f\0" + b"\0" * 200,
        "psd": b"8BPS\0\x01" + b"\0" * 6 + struct.pack(">HIIHH", 3, 40, 40, 8, 3) + b"\0" * 40,
        "xbm": b"#define a_width 40\n#define a_height 40\nstatic char a_bits[] = {0};\n",
        "xpm": b'/* XPM */\nstatic char *a[] = {"40 40 1 1", "a c #000000"};\n',
        "fits": b"SIMPLE  =                    T" + b" " * 3000,
        "dds": b"DDS " + struct.pack("<I", 124) + b"\0" * 124,
        "tar": b"a" * 100 + b"\0" * 157 + b"ustar\0" + b"\0" * 250,
        "json": b'{"format": "animate_anyone.poses"}',
    }
    for name, body in bodies.items():
        yield m.detect(name, m.write(body, ".png"))
    for name in ("eps", "svg", "pdf", "zeros"):
        yield m.animate(f"{name} as reference", reference=m.write(bodies[name], f".{name}"))


def damaged_pictures(m: Material) -> Iterator[Case]:
    whole = picture_bytes(m.pixels, "PNG")
    for name, at, value in (
        ("depth", 24, 7),
        ("color type", 25, 9),
        ("packing", 26, 5),
        ("filter", 27, 9),
        ("first chunk", 12, 88),
        ("signature", 1, 0),
        ("check sum", 30, 77),
    ):
        body = bytearray(whole)
        body[at] = value
        yield m.detect(f"png {name}", m.write(bytes(body), ".png"))
    noise = np.random.default_rng(5).integers(0, 256, 500).astype(np.uint8).tobytes()
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"):
        head = picture_bytes(m.pixels, kind)[: {"BMP": 20, "GIF": 9}.get(kind, 8)]
        yield m.detect(f"{kind} of noise", m.write(head + noise, ".png"))
    for name, value in (("nan", np.nan), ("infinity", np.inf), ("minus infinity", -np.inf)):
        path = m.path(".tiff")
        pixels = np.full((40, 40), 0.5, np.float32)
        pixels[3, 3] = value
        Image.fromarray(pixels).save(path)
        yield m.detect(f"float picture with {name}", path)


def cut_videos(m: Material) -> Iterator[Case]:
    whole = m.video.read_bytes()
    for count in (1, 4, 8, 12, 24, 40, 64, 100, len(whole) // 3, len(whole) // 2, len(whole) - 400):
        yield m.animate(f"mp4 of {count} bytes", poses=m.write(whole[:count], ".mp4"))
    for at in (36, 40, 48, 60):
        body = whole[:at] + b"\xff" * (len(whole) - at)
        yield m.animate(f"mp4 overwritten from {at}", poses=m.write(body, ".mp4"))


def playlists(m: Material) -> Iterator[Case]:
    good = m.video
    bodies = {
        "m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{good}\n#EXT-X-ENDLIST\n",
        "m3u8 of the web": "#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
        "m3u8 of a device": "#EXTM3U\n#EXTINF:9,\nfile:///dev/zero\n#EXT-X-ENDLIST\n",
        "ffconcat": f"ffconcat version 1.0\nfile '{good.name}'\n",
        "ffconcat by path": f"ffconcat version 1.0\nfile {good}\n",
        "ffconcat twice": f"ffconcat version 1.0\nfile {good.name}\nfile {good.name}\n",
        "ffconcat of a pipe": "ffconcat version 1.0\nfile pipe:0\n",
        "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period/></MPD>',
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
        "meta": ";FFMETADATA1\ntitle=x\n",
        "srt": "1\n00:00:00,000 --> 00:00:09,000\nx\n",
        "pls": f"[playlist]\nFile1={good}\nNumberOfEntries=1\n",
        "lavfi": "testsrc=size=32x32:rate=5:duration=1",
        "imf": '<AssetMap xmlns="http://www.smpte-ra.org/schemas/429-9/2007/AM"/>',
    }
    for name, body in bodies.items():
        for ending in (".mp4", ".ffconcat" if "concat" in name else ".m3u8"):
            yield m.animate(f"{name} named {ending}", poses=m.write(body, ending))


def protocols(m: Material) -> Iterator[Case]:
    good = m.video
    for name in (
        f"concat:{good}|{good}",
        f"file:{good}",
        "http://127.0.0.1:9/a.mp4",
        "https://127.0.0.1:9/a",
        "pipe:0",
        "pipe:",
        "-",
        f"subfile,,start,0,end,99,,:{good}",
        f"crypto:{good}",
        f"async:{good}",
        f"cache:{good}",
        "tcp://127.0.0.1:9",
        "udp://127.0.0.1:9",
        "rtsp://127.0.0.1/",
        "data:video/mp4;base64,AAAA",
        f"md5:{good}",
        "tee:a",
        "ftp://127.0.0.1/a",
        f"{good}|{good}",
        "smb://a/b",
        "fd:0",
        f"{good.parent}/%d.mp4",
        f"{good.parent}/*.mp4",
    ):
        yield m.animate(name, poses=name)


def large_videos(m: Material) -> Iterator[Case]:
    for width, height in (
        (100_000, 100_000),
        (8000, 8000),
        (2**31 - 1, 2),
        (30000, 2),
        (0, 0),
        (-5, 9),
    ):
        head = f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C420\nFRAME\n".encode()
        yield m.animate(f"y4m {width}x{height}", poses=m.write(head + b"\0" * 3000, ".y4m"))
    for width, height in ((16383, 16383), (12000, 12000), (16000, 9000)):
        frame = b"\x10\x02\0\x9d\x01\x2a" + struct.pack("<HH", width, height) + b"\0" * 90
        head = b"DKIF" + struct.pack("<HHIHHIIII", 0, 32, 0x30385056, width, height, 25, 1, 1, 0)
        body = head + struct.pack("<IQ", len(frame), 0) + frame
        yield m.animate(f"ivf {width}x{height}", poses=m.write(body, ".ivf"))
    body = b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + _gif_frame(65535)
    yield m.animate("gif 65535x65535", poses=m.write(body, ".gif"))
    yield m.animate("mjpeg 65500x65500", poses=m.write(_jpeg(65500, 65500, m), ".mjpeg"))
    for width, height in ((20000, 20000), (2**30, 2**30)):
        yield m.animate(f"avi {width}x{height}", poses=m.write(_avi(width, height, 3), ".avi"))


def _avi(width: int, height: int, frames: int, rate: int = 25) -> bytes:
    """A raw AVI with a header of any size and hardly any content."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return name + struct.pack("<I", len(body)) + body

    main = struct.pack("<14I", 40000, 0, 0, 0x10, frames, 0, 1, 0, width, height, 0, 0, 0, 0)
    stream = struct.pack(
        "<4s4sIHHIIIIIIIIhhhh",
        b"vids",
        b"DIB ",
        0,
        0,
        0,
        0,
        1,
        rate,
        0,
        frames,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    )
    form = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    lists = b"strl" + chunk(b"strh", stream) + chunk(b"strf", form)
    head = chunk(b"LIST", b"hdrl" + chunk(b"avih", main) + chunk(b"LIST", lists))
    movie = chunk(b"LIST", b"movi" + chunk(b"00db", b"\0" * 3072))
    return chunk(b"RIFF", b"AVI " + head + movie)


def video_claims(m: Material) -> Iterator[Case]:
    for frames in (10**9, 2**31 - 1, 2**32 - 1, 5_000_000):
        yield m.animate(
            f"avi of {frames} frames", poses=m.write(_avi(32, 32, frames), ".avi"), max_frames=None
        )
    for rate in (100_000, 10**9, 1001):
        yield m.animate(f"avi at {rate} a second", poses=m.write(_avi(32, 32, 1, rate), ".avi"))
    for rate in ("100000:1", "5000:1", "2147483647:1", "1001:1"):
        head = f"YUV4MPEG2 W32 H32 F{rate} Ip A1:1 C420\n".encode()
        body = head + (b"FRAME\n" + b"\0" * 1536) * 2
        yield m.animate(f"y4m at {rate}", poses=m.write(body, ".y4m"))


def no_videos(m: Material) -> Iterator[Case]:
    sound = m.path(".mp4")
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    yield m.animate("sound alone", poses=sound)
    noise = np.random.default_rng(6).integers(0, 256, 4000).astype(np.uint8).tobytes()
    for name, body in {
        "text": b"this is not a video",
        "empty": b"",
        "zeros": b"\0" * 4000,
        "noise": noise,
        "zip": b"PK\x03\x04" + noise,
        "html": b"<!doctype html><html></html>",
        "pickle": b"\x80\x04N.",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"></svg>',
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "json": b"[]",
        "lfs pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
        "wave": b"RIFF"
        + struct.pack("<I", 36)
        + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8)
        + b"data\0\0\0\0",
    }.items():
        yield m.animate(name, poses=m.write(body, ".mp4"))
        yield m.detect(f"{name} to detect in", m.write(body, ".mkv"))


def special_files(m: Material) -> Iterator[Case]:
    for name, path in m.specials():
        yield m.animate(f"reference: {name}", reference=path)
        yield m.animate(f"poses: {name}", poses=path)
        yield m.detect(f"video: {name}", path)
        yield call(
            "animate",
            f"driving: {name}",
            {
                "reference": m.picture,
                "driving": path,
                "models": m.model,
                "output": "OUT/a.mp4",
                "estimator": m.estimator,
            },
        )
        yield m.retarget(f"picture: {name}", picture=path, overlay="OUT/a.png")


KINDS = {
    "pictures cut short": cut_pictures,
    "pictures too large": picture_bombs,
    "pictures too small": small_pictures,
    "pictures of other formats": no_pictures,
    "pictures damaged": damaged_pictures,
    "videos cut short": cut_videos,
    "videos: playlists": playlists,
    "videos: names of protocols": protocols,
    "videos too large": large_videos,
    "videos: frames and rates claimed": video_claims,
    "videos of other formats": no_videos,
    "special files as pictures and videos": special_files,
}
