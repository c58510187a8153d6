"""What to know before a long run: what would fail, what would look bad, what it will cost.

Every check states its threshold as a constant of its file. A check whose inputs are missing is left
out and named as not checked.
"""
