"""Sampling long clips: windows, blending, guidance, and the denoising loop over a callable.

Symbols: F frames of the clip, f frames of a window, C latent channels, h w latent cells.
"""
