"""The command line: one module a command, imported only when its command is called.

A command module offers `add_arguments(parser)` and `run(args) -> int | None`, the exit code where it
is not 0. It raises `AnimateAnyoneError` for bad input; `python -m animate_anyone_core` turns that
into one line and exit code 2. The laboratory has commands of its own, see `lab.commands`.
"""

#: command name -> (module in this folder, one line of help), in the order `--help` lists them.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "animate the characters and the video that come with the package"),
    "animate": ("animate", "animate a character picture by a skeleton or driving video"),
    "detect-pose": ("detect_pose", "find the poses of the people in a video or picture"),
    "read-skeletons": ("read_skeletons", "read the poses that a video of drawn skeletons shows"),
    "retarget-pose": ("retarget_pose", "fit a driver's poses to a character's body and place"),
    "draw-pose": ("draw_pose", "draw poses as skeleton pictures for a family of weights"),
    "evaluate": ("evaluate", "measure a result against the truth and its driving poses"),
    "download": ("download", "fetch published files: pose networks for real people, weights, VAE"),
    "inspect": ("inspect", "tell what files of weights are, and whether a folder makes a model"),
    "convert": ("convert", "rewrite weights as safetensors, in another precision, split or merged"),
    "self-test": ("self_test", "check that this machine computes what the published code computes"),
    "report": ("report", "write what an issue should tell of this machine, without private names"),
}
