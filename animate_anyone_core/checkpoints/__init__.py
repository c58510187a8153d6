"""Files of weights to networks and back: reading, recognising, renaming, loading with a report."""
