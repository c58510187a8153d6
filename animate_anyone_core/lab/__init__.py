"""The laboratory: training, made-up dancers, benchmarks and ablations.

It stands on the product and nothing of the product imports it: without this folder the pack, the
commands of the product and every workflow work as before.
"""
