"""The table of what is accepted. A file beyond it is refused with the number that would do."""

# --- pictures and videos -------------------------------------------------------------------------

#: Formats that Pillow may open. None of them starts another program or opens another file.
PICTURE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "PPM")
#: Pixels of a picture that is read: 64 MP, decoded in 1 GB at the worst.
PICTURE_PIXELS = 8192 * 8192
#: Longest side of a picture, video or canvas that is read.
PICTURE_SIDE = 16_384
#: Containers that FFmpeg may open; no playlists, no lists of files, nothing that names other files.
VIDEO_FORMATS = (
    "mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "gif", "apng", "mpegts",
    "mpeg", "mpegvideo", "flv", "ogg", "asf", "ivf", "h264", "hevc", "av1", "obu", "m4v", "mjpeg",
    "yuv4mpegpipe", "nut", "mxf", "dv", "wav", "png_pipe", "jpeg_pipe", "webp_pipe", "bmp_pipe",
)  # fmt: skip
#: Pixels of a frame that is read: 8K.
VIDEO_PIXELS = 7680 * 4320
#: Longest side, and pixels, of a video or picture that is made.
MADE_SIDE = 8192
MADE_PIXELS = 4096 * 4096
#: Frames of a clip.
FRAMES = 1_000_000
#: Frames per second.
FPS = 1000.0

# --- JSON ----------------------------------------------------------------------------------------

#: Levels of brackets: poses have 5, settings 4.
JSON_DEPTH = 32
#: Characters of a number: 64-bit numbers need 25, and some programs write far too many digits.
JSON_DIGITS = 60
#: Bytes, lists and objects, and values of a file of poses: half an hour of one person.
JSON_BYTES = 512 * 2**20
JSON_LISTS = 2_000_000
JSON_VALUES = 24_000_000
#: Bytes of a file of settings.
SETTINGS_BYTES = 2**20
#: Bytes of a list of jobs.
JOBS_BYTES = 2**26

# --- poses ---------------------------------------------------------------------------------------

#: Persons of a frame, and persons times frames.
PERSONS = 1000
PERSON_FRAMES = 100_000
#: Files of a folder with one file a frame.
POSE_FILES = 100_000
#: How far from the canvas's corner a keypoint may be, in pixels; and how large a score.
COORDINATE = 1e6
SCORE = 1e6

# --- weights and networks ------------------------------------------------------------------------

#: Tensors of a file, and characters of a tensor's name.
TENSORS = 100_000
TENSOR_NAME = 1000
#: Types that hold weights as they are. Integers and smaller floats need scales that a file of
#: another program holds elsewhere.
WEIGHT_TYPES = ("float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2")
#: A number in the settings of a network that only measures, whatever it stands for.
SETTING = 100_000
#: Input of a pose network: crops of a run, and the side of a picture in pixels.
NETWORK_BATCH = 256
NETWORK_SIDE = 4096
#: Numbers that a pose network may hand over for one run, and the boxes of a picture, surest first,
#: that are looked at.
NETWORK_NUMBERS = 2**27
CANDIDATES = 2000
#: Seconds that a network may take for its first, empty picture.
FIRST_RUN_SECONDS = 120.0
