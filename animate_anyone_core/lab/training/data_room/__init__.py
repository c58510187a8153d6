"""The data room: what is measured of a clip, and which clips are good enough to train on."""
