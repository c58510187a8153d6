"""Replacing a person in a video: what the denoising UNet sees of it, and cutting and pasting."""
