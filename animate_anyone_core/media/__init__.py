"""What is inside video files: when a frame is shown, in which colours, with which sound."""
