"""Measuring results: pictures against the truth, poses against those that drove, reports."""
