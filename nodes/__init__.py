"""ComfyUI's words for what the core does: schemas, sockets, patchers, progress.

Convention: ComfyUI's IMAGE is (F, H, W, 3) in [0, 1], its LATENT (F, C, h, w) unscaled; the core
speaks (B, C, F, h, w), scaled. Only this folder translates.
"""
