"""Where ComfyUI keeps this family's files, and what the drop-downs list."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import folder_paths

from ..animate_anyone_core.checkpoints.builtin import BUILT_IN, BUILT_IN_FOLDER
from ..animate_anyone_core.checkpoints.model_folder import find_optional, find_weights
from ..animate_anyone_core.checkpoints.weight_files import SUFFIXES
from ..animate_anyone_core.errors import CheckpointError

FOLDER = "animate_anyone"


def register_folders() -> None:
    """Make `models/animate_anyone` known; folders of extra_model_paths.yaml stay first."""
    default = Path(folder_paths.models_dir) / FOLDER
    folder_paths.add_model_folder_path(FOLDER, str(default))
    folder_paths.folder_names_and_paths[FOLDER][1].update(SUFFIXES)


def weight_file_names(*folders: str) -> list[str]:
    """Files of weights in these model folders (the pack's own if none is named)."""
    names: list[str] = []
    for folder in folders or (FOLDER,):
        names += [name for name in folder_paths.get_filename_list(folder) if name not in names]
    return names


def network_choices(network: str) -> list[str]:
    """What a loader of one network offers: the built-in one first, then all files of weights."""
    built_in = [BUILT_IN] if find_optional(BUILT_IN_FOLDER, network) else []
    return [*built_in, *weight_file_names()]


def network_file(choice: str, network: str) -> Path:
    """The path of what was chosen among `network_choices`.

    Raises:
        FileNotFoundError: If the file is gone.
        CheckpointError: If the built-in network is missing from this installation.
    """
    return find_weights(BUILT_IN_FOLDER, network) if choice == BUILT_IN else weight_file(choice)


def listed(choice: str, names: Iterable[str]) -> str | None:
    r"""The name in a list that means the same file; None if there is none.

    A workflow keeps a name as the system that made it lists it: `moore\unet.pth` on Windows,
    `moore/unet.pth` elsewhere.
    """
    names = list(names)
    if choice in names:
        return choice
    slashed = choice.replace("\\", "/")
    return next((name for name in names if name.replace("\\", "/") == slashed), None)


def listed_verdict(*choices: tuple[str | None, Iterable[str]]) -> bool | str:
    """For `validate_inputs` of loaders: every choice is listed, however its slashes are written.

    ComfyUI's own check, which this takes over, refuses workflows from a system with other slashes.

    Args:
        choices: What was chosen, None if that is linked and not known yet; what is listed.

    Returns:
        True, or what is wrong with the only choice; ComfyUI tells it beside the input.

    Raises:
        CheckpointError: If one of several is not listed; returned, it would be told beside each.
    """
    for choice, names in choices:
        if choice is not None and listed(choice, names) is None:
            wrong = (
                f"{choice!r} is not in the list. Refresh the node list (R) and choose again; "
                "missing files go into models/animate_anyone."
            )
            if len(choices) > 1:
                raise CheckpointError(wrong)
            return wrong
    return True


def weight_file(name: str, *folders: str) -> Path:
    """The path of a listed file.

    Raises:
        FileNotFoundError: If it is gone.
    """
    for folder in folders or (FOLDER,):
        for spelling in (name, name.replace("\\", "/")):
            path = folder_paths.get_full_path(folder, spelling)
            if path is not None:
                return Path(path)
    raise FileNotFoundError(
        f"{name} is not in models/{(folders or (FOLDER,))[0]} any more. Refresh the node list (R) and "
        "choose again."
    )


@dataclass(frozen=True)
class FilesAndFolders:
    """What a loader offers that takes a file of ComfyUI's, or a folder that holds one network.

    Attributes:
        files: ComfyUI's model folder of such files; folders lie there or in the pack's own.
        markers: Names, without endings, of the weights that such a folder holds beside `config.json`.
        built_in: Name of the built-in model's folder of that kind, offered first.
    """

    files: str
    markers: tuple[str, ...]
    built_in: str

    def names(self) -> list[str]:
        """Folders first, then files."""
        ships = any(find_optional(BUILT_IN_FOLDER / self.built_in, m) for m in self.markers)
        folders = [*([BUILT_IN] if ships else []), *self._folders()]
        return [*folders, *weight_file_names(self.files)]

    def path(self, choice: str) -> Path:
        """The folder or file that was chosen.

        Raises:
            FileNotFoundError: If it is gone.
        """
        if choice == BUILT_IN:
            return BUILT_IN_FOLDER / self.built_in
        folders = self._folders()
        there = listed(choice, folders)
        return weight_file(choice, self.files) if there is None else folders[there]

    def fingerprint(self, choice: str) -> str:
        """That of the file, or of all files of the folder."""
        path = self.path(choice)
        return fingerprint(*(sorted(path.iterdir()) if path.is_dir() else [path]))

    def _folders(self) -> dict[str, Path]:
        folders: dict[str, Path] = {}
        for marker in self.markers:
            for name, path in sorted(_network_folders(marker, self.files, FOLDER).items()):
                folders.setdefault(name, path)
        return folders


def _network_folders(marker: str, *folders: str) -> dict[str, Path]:
    listed_paths: dict[str, Path] = {}
    for folder in folders:
        for base in map(Path, folder_paths.get_folder_paths(folder)):
            for depth in ("*", "*/*", "*/*/*"):
                for config in base.glob(f"{depth}/config.json"):
                    path = config.parent
                    if any((path / f"{marker}{suffix}").is_file() for suffix in SUFFIXES):
                        listed_paths.setdefault(path.relative_to(base).as_posix(), path)
    return listed_paths


def fingerprint(*paths: Path) -> str:
    """Changes when a file is replaced, so that ComfyUI loads it again."""
    stats = [path.stat() for path in paths if path.is_file()]
    return "|".join(f"{stat.st_mtime_ns}:{stat.st_size}" for stat in stats)
