"""The paper's ablations at toy size: other ways to read the reference, trained and scored alike."""
