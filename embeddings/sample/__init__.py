"""The sample encoder: a small CLIP in open_clip's local-dir layout; CARD.md tells about it."""
