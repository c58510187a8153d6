"""Errors that tell the user what was expected, what came and what to do.

AnimateAnyoneError
├─ ShapeError (also ValueError)         a tensor or picture of the wrong shape, range or dtype
├─ SettingsError (also ValueError)      a setting outside its limits, or two that contradict
├─ MediaError (also ValueError)         a picture or video that cannot be read or written
├─ CheckpointError                      a file of weights that cannot be used
│  ├─ UnknownCheckpointError            no known layout
│  └─ MissingWeightsError               a network whose weights are not all there
├─ NotFiniteError                      a network computed NaN or infinite numbers
├─ PoseError (also ValueError)          poses that cannot be used
└─ MissingDependencyError (also ImportError)   an optional package that a feature needs
"""


class AnimateAnyoneError(Exception):
    """Anything this package raises on purpose; its text is meant for the user."""


class ShapeError(AnimateAnyoneError, ValueError):
    """A tensor or picture has the wrong shape, range or dtype."""


class SettingsError(AnimateAnyoneError, ValueError):
    """A setting is outside its limits, or two settings contradict each other."""


class MediaError(AnimateAnyoneError, ValueError):
    """A picture or video cannot be read or written."""


class CheckpointError(AnimateAnyoneError):
    """A file of weights cannot be used."""


class UnknownCheckpointError(CheckpointError):
    """The keys and shapes of a file match no known layout."""


class MissingWeightsError(CheckpointError):
    """A network's weights are not all there."""


class NotFiniteError(AnimateAnyoneError):
    """A network computed NaN or infinite numbers."""


class PoseError(AnimateAnyoneError, ValueError):
    """Poses cannot be used as they are."""


class MissingDependencyError(AnimateAnyoneError, ImportError):
    """An optional package that a feature needs is not installed."""
