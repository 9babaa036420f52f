"""Encoders: images and texts in, L2-normalised float32 embeddings out."""
