"""Training in the paper's two stages, and of students, from made-up dancers or real clips.

Symbols used in this folder: B samples in a batch, F frames of a sample, C channels, H W pixels,
h w latent cells (H/8, W/8), D width of the appearance token. `t` is diffusion time only.
"""
