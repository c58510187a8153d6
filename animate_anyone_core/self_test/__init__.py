"""Whether this machine computes what the published code computes, stage by stage, and how near.

Small networks whose weights follow from their names run on any device in seconds; what they must
give stands in `numbers/`, made by running the published code. `core_calls.py` holds all calls into
the rest of the package.
"""
