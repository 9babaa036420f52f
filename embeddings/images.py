"""From a picture file to the square of pixels that a model looks at. No torch here."""

import functools
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from pillow_heif import register_heif_opener

from embeddings.errors import ImageError, first_line
from embeddings.orientation import orientation

DEFAULT_MAX_PIXELS = 200_000_000
WHITE = (255, 255, 255)
# The centre of a strip is cut out after scaling, so a strip of 1 x 40,000 pixels would be scaled to
# gigabytes. One side may be this many times the other.
MAX_SCALED = 200

# How much larger than the model's square a JPEG is decoded. At 1 it is fastest and the embedding
# moves; at 2 its cosine to open_clip's own stays above 0.999 on photos (a test holds it).
DETAIL = 2

# Formats that a photo folder holds. Pillow can open some more (EPS, PDF, fonts…) with code that
# was written for trusted files; naming the list keeps those away from what people drop in.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")
# What is taken for a picture by its name, and folders that programs keep for themselves.
SUFFIXES = frozenset(
    f".{ending}"
    for ending in "jpg jpeg jpe jfif mpo png webp gif bmp dib tif tiff avif heic heif hif".split()  # noqa: SIM905
)
IGNORED_FOLDERS = frozenset(
    ["__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"]
)

# Pictures of more pixels are shrunk strip by strip: converted as a whole, one of the largest that
# are read would take four times its memory.
LARGE = 32_000_000
STRIP = 4_000_000

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = (5, 6, 7, 8)  # those that swap width and height
FLOAT32 = float(np.finfo(np.float32).max)

_RESAMPLING = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
}


@dataclass(frozen=True)
class ImageTransform:
    """Resize and crop to ``size`` (height, width), as open_clip's evaluation transform does.

    The arithmetic is torchvision's ``Resize`` and ``CenterCrop`` on PIL images, so the pixels are
    the same to the bit (a test compares them). Applying it twice changes nothing. Raises
    ImageError for pictures more than 200 times as long as wide.
    """

    size: tuple[int, int]
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    resize_mode: Literal["shortest", "longest", "squash"] = "shortest"
    fill: int = 0

    def __call__(self, image: Image.Image) -> Image.Image:
        """An RGB picture of exactly ``size``."""
        image = to_rgb(image)
        height, width = self.size
        if image.size == (width, height):
            return image
        resampling = _RESAMPLING[self.interpolation]
        if self.resize_mode == "squash":
            return image.resize((width, height), resampling)
        # Where the target is no square, open_clip scales by the tighter side; so do we.
        ratios = (width / image.width, height / image.height)
        scale = max(ratios) if self.resize_mode == "shortest" else min(ratios)
        scaled_width, scaled_height = self._scaled(image.size, scale)
        if scaled_width * scaled_height > MAX_SCALED * width * height:
            raise ImageError(
                f"{image.width} x {image.height} pixels are too thin a strip to be looked at"
            )
        resized = image.resize((scaled_width, scaled_height), resampling)
        return _crop_or_pad(resized, width, height, self.fill)

    def _scaled(self, size: tuple[int, int], scale: float) -> tuple[int, int]:
        width, height = size
        if self.resize_mode == "longest":
            return max(1, round(width * scale)), max(1, round(height * scale))
        # torchvision: the short side is exact, the long one is cut down to an integer.
        target_height, target_width = self.size
        if self.size[0] == self.size[1]:
            short = self.size[0]
            if width <= height:
                return short, int(short * height / width)
            return int(short * width / height), short
        return max(target_width, round(width * scale)), max(target_height, round(height * scale))


@dataclass(frozen=True)
class OpenedImage:
    """An upright RGB picture, perhaps at a fraction of its size, and the size of the whole."""

    image: Image.Image
    width: int
    """Pixels of the original, upright."""
    height: int


def open_image(
    data: bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS, at_least: int | None = None
) -> OpenedImage:
    """Decode a file's bytes into an upright RGB picture (the first frame, where there are more).

    With ``at_least``, a JPEG may be decoded at a half, a quarter or an eighth, as long as no side
    gets shorter than that many pixels: several times as fast for photos of many megapixels. What
    is very large all the same is shrunk, to no less than twice that.

    Raises ImageError with the reason where the bytes are no picture, are cut short, or hold more
    than ``max_pixels`` pixels.
    """
    if not data:
        raise ImageError("the file is empty")
    prepare_pillow()
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise ImageError(
                    f"{width} x {height} pixels are more than the limit of "
                    f"{max_pixels} (setting max_pixels)"
                )
            # Of a JPEG's pixels; for HEIF, drafts are pictures of their own, and may be any.
            if at_least is not None and image.format in ("JPEG", "MPO"):
                image.draft(None, (at_least, at_least))
            turned = orientation(image)
            if at_least is not None and image.width * image.height > LARGE:
                upright = _shrunk(image, at_least)
            else:
                upright = to_rgb(image)
            if turned in UPRIGHT:
                upright = upright.transpose(UPRIGHT[turned])
            elif upright is image:  # what it was read from would stay in memory with it
                upright = image.copy()
            sideways = turned in SIDEWAYS
            return OpenedImage(upright, *((height, width) if sideways else (width, height)))
    except UnidentifiedImageError:
        raise ImageError("not a picture in a known format") from None
    except ImageError:
        raise
    except Exception as error:  # decoders meet hostile bytes in ways that cannot be foreseen
        if isinstance(error, MemoryError):
            raise ImageError("there is not enough memory to decode it") from error
        name = "" if isinstance(error, OSError | ValueError) else f"{type(error).__name__}: "
        raise ImageError(f"damaged picture: {name}{first_line(error)}") from error


def open_for(data: bytes, transform: ImageTransform, max_pixels: int) -> OpenedImage:
    """A file's picture, decoded as large as the model's square asks for. Raises ImageError."""
    return open_image(data, max_pixels=max_pixels, at_least=DETAIL * min(transform.size))


def squared(opened: OpenedImage, transform: ImageTransform) -> OpenedImage:
    """A picture that ``open_for`` decoded as the model looks at it. Raises ImageError."""
    try:
        return replace(opened, image=transform(opened.image))
    except (ValueError, MemoryError) as error:  # so thin that its scaled side has no pixel left
        raise ImageError(f"cannot be scaled: {error}") from error


def open_square(data: bytes, transform: ImageTransform, max_pixels: int) -> OpenedImage:
    """A file's picture as the model looks at it, with the size of the whole.

    Raises ImageError with the reason.
    """
    return squared(open_for(data, transform, max_pixels), transform)


@functools.cache
def prepare_pillow() -> None:
    """Load all of Pillow's plugins, once; it starts with a few."""
    Image.init()
    register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
    # Pillow's own limit is one number for the whole process; ours is checked before any pixel is
    # decoded, and names the option that changes it.
    Image.MAX_IMAGE_PIXELS = None


def to_rgb(image: Image.Image) -> Image.Image:
    """An 8-bit RGB copy of a picture in any mode; transparent parts turn white."""
    return _to_rgb(image, _levels(image))


def _to_rgb(image: Image.Image, levels: tuple[float, float] | None) -> Image.Image:
    if image.mode == "RGB":
        return image
    if levels:
        return _from_deep_grey(image, *levels)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        canvas = Image.new("RGBA", rgba.size, (*WHITE, 255))
        return Image.alpha_composite(canvas, rgba).convert("RGB")
    return image.convert("RGB")


def _shrunk(image: Image.Image, at_least: int) -> Image.Image:
    """In RGB, by a whole factor, with no side shorter than twice ``at_least`` (or as it was)."""
    factor = max(1, min(image.size) // (2 * at_least))
    levels = _levels(image)
    shrunk = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    for top, strip in _strips(image, factor):
        shrunk.paste(_to_rgb(strip, levels).reduce(factor), (0, top // factor))
    return shrunk


def _strips(image: Image.Image, multiple_of: int = 1) -> Iterator[tuple[int, Image.Image]]:
    """The picture's rows, some millions of pixels at a time, and where each strip begins."""
    image.load()
    rows = max(1, STRIP // (image.width * multiple_of)) * multiple_of
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _levels(image: Image.Image) -> tuple[float, float] | None:
    """What is black and what is white in grey of 16 or more bits; None for other pictures."""
    if image.mode.startswith("I;16"):
        return 0.0, float(0xFFFF)
    if image.mode not in ("I", "F"):
        return None
    # The file does not say its range: 8 or 16 bits where the values fit, else what is there.
    found = [(pixels.min(), pixels.max()) for _, s in _strips(image) if (pixels := _deep(s)).size]
    low = float(min((low for low, _ in found), default=0))
    high = float(max((high for _, high in found), default=0xFFFF))
    if low >= 0 and 1 < high <= 0xFFFF:
        return 0.0, float(0xFF if high <= 0xFF else 0xFFFF)
    return low, high


def _deep(image: Image.Image) -> NDArray[np.float64]:
    pixels = np.asarray(image, dtype=np.float64)
    return np.nan_to_num(pixels, posinf=FLOAT32, neginf=-FLOAT32)


def _from_deep_grey(image: Image.Image, low: float, high: float) -> Image.Image:
    """Scale grey of 16 or more bits to 8; Pillow's own conversion clips it to white."""
    scaled = (_deep(image) - low) * (255 / ((high - low) or 1))
    return Image.fromarray(scaled.round().astype(np.uint8)).convert("RGB")


def _crop_or_pad(image: Image.Image, width: int, height: int, fill: int) -> Image.Image:
    if image.width < width or image.height < height:
        canvas = Image.new("RGB", (max(width, image.width), max(height, image.height)), (fill,) * 3)
        canvas.paste(
            image, ((canvas.width - image.width) // 2, (canvas.height - image.height) // 2)
        )
        image = canvas
    left = round((image.width - width) / 2)
    top = round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))
