"""Drawn skeletons back to keypoints: colors, bodies, hands, faces, people over time."""
