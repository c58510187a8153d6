"""What is inside video files: when a frame is shown, in which colors, with which sound."""
