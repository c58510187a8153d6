"""Poses: skeletons as data, detection, tracking, smoothing, retargeting, drawing.

Convention: see `skeleton`. NumPy only; OpenCV, ONNX Runtime and PyTorch are imported where they work.
"""
