"""Measuring a model: held-out dancers, parts switched off, scores, report."""
