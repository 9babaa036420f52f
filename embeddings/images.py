"""From a picture file to the square of pixels that a model looks at. No torch here."""

import functools
import io
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from pillow_heif import register_heif_opener

from embeddings.errors import ImageError

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

ORIENTATION = 0x0112  # the EXIF tag
SIDEWAYS = (5, 6, 7, 8)  # its values that swap width and height

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
    gets shorter than that many pixels: several times as fast for photos of many megapixels.

    Raises ImageError with the reason where the bytes are no picture, are cut short, or hold more
    than ``max_pixels`` pixels.
    """
    if not data:
        raise ImageError("the file is empty")
    _prepare_pillow()
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise ImageError(
                    f"{width} x {height} pixels are more than the limit of "
                    f"{max_pixels} (setting max_pixels)"
                )
            if at_least is not None:
                image.draft(None, (at_least, at_least))  # for JPEG; other formats ignore it
            turned = image.getexif().get(ORIENTATION, 1) in SIDEWAYS
            upright = to_rgb(ImageOps.exif_transpose(image))
            return OpenedImage(upright, *((height, width) if turned else (width, height)))
    except UnidentifiedImageError:
        raise ImageError("not a picture in a known format") from None
    except ImageError:
        raise
    except Exception as error:  # decoders meet hostile bytes in ways that cannot be foreseen
        name = "" if isinstance(error, OSError | ValueError) else f"{type(error).__name__}: "
        raise ImageError(f"damaged picture: {name}{error}") from error


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
def _prepare_pillow() -> None:
    """Load all of Pillow's plugins, once; it starts with a few."""
    Image.init()
    register_heif_opener()
    # Pillow's own limit is one number for the whole process; ours is checked before any pixel is
    # decoded, and names the option that changes it.
    Image.MAX_IMAGE_PIXELS = None


def to_rgb(image: Image.Image) -> Image.Image:
    """An 8-bit RGB copy of a picture in any mode; transparent parts turn white."""
    if image.mode == "RGB":
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _from_deep_grey(image)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        canvas = Image.new("RGBA", rgba.size, (*WHITE, 255))
        return Image.alpha_composite(canvas, rgba).convert("RGB")
    return image.convert("RGB")


def _from_deep_grey(image: Image.Image) -> Image.Image:
    """Scale grey of 16 or more bits to 8; Pillow's own conversion clips it to white."""
    pixels = np.nan_to_num(np.asarray(image, dtype=np.float64))
    low, high = 0.0, float(0xFFFF)
    if image.mode in ("I", "F") and pixels.size:
        # The file does not say its range: 8 or 16 bits where the values fit, else what is there.
        low, high = float(pixels.min()), float(pixels.max())
        if low >= 0 and 1 < high <= 0xFFFF:
            low, high = 0.0, float(0xFF if high <= 0xFF else 0xFFFF)
    scaled = (pixels - low) * (255 / ((high - low) or 1))
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
