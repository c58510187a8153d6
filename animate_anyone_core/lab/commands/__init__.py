"""The laboratory's commands, in the form that `animate_anyone_core.commands` describes."""

#: command name -> (module in this folder, one line of help), in the order `--help` lists them.
COMMANDS: dict[str, tuple[str, str]] = {
    "prepare": ("prepare", "find the poses of videos to train on"),
    "pack": ("pack", "pack clips with poses into shards to train on"),
    "train": ("train", "train a model in the paper's two stages, distill it, or go on with a run"),
    "benchmark": ("benchmark", "measure a part of the package on this machine"),
}
