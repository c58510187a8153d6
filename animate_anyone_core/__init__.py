"""Animate Anyone in plain PyTorch: networks, sampling, poses, checkpoints, training, evaluation.

The floors of this package, from the bottom up (imports point down only, see ARCHITECTURE.md):
errors · sampling, video, progress · models, pose · checkpoints, synthetic · animate · evaluation ·
training · commands.
"""

__version__ = "0.2.0"
