"""Draws sample pictures of ten fruit categories, with captions, from a seed.

Example:

    picture = draw_picture("apple", numpy.random.default_rng(0), size=480)
    picture.image.save("apple.jpg")
    print(picture.caption)
"""

from .kinds import CATEGORIES
from .scene import Picture, draw_picture

__all__ = ["CATEGORIES", "Picture", "draw_picture"]
