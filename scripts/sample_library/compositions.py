"""The four ways to compose a picture, and which setting takes which."""

from __future__ import annotations

from .branch import on_branch
from .brief import Brief, Composed
from .full_frame import full_frame
from .tabletop import in_vessel, on_ground


def compose(brief: Brief) -> Composed:
    """Paint what the brief asks for."""
    if brief.setting == "branch":
        return on_branch(brief)
    if brief.setting in ("crate", "close-up"):
        return full_frame(brief)
    if brief.setting in ("basket", "bowl"):
        return in_vessel(brief)
    return on_ground(brief)
