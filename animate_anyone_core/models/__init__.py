"""The networks: parameter trees from diffusers and transformers, forwards of our own.

Symbols used in this folder: B batch, F frames, C channels, H W pixels, h w latent cells (H/8, W/8),
L tokens (h·w), D features of a token, T context tokens. `t` is diffusion time only.
"""
