"""Opens a picture as an image viewer would, with what Python has: is it whole, and what does it show?"""

import struct
import zlib


def png(data):
    """(width, height, number of colours) of an RGB or RGBA picture; raises ValueError when it is broken."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("not a PNG")
    at, packed, head = 8, b"", None
    while True:
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0] != zlib.crc32(kind + body):
            raise ValueError(f"{kind} is damaged")
        if kind == b"IHDR":
            head = struct.unpack(">IIBB", body[:10])
        elif kind == b"IDAT":
            packed += body
        elif kind == b"IEND":
            break
        at += 12 + length
    width, height, depth, colour = head
    if depth != 8 or colour not in (2, 6):
        raise ValueError(f"{depth} bits of colour type {colour} are not understood")
    size = 3 if colour == 2 else 4
    return width, height, len(set(pixels(zlib.decompress(packed), width, height, size)))


def pixels(raw, width, height, size):
    """Undoes the filters of PNG, line by line."""
    stride, last = width * size, bytes(width * size)
    if len(raw) != (stride + 1) * height:
        raise ValueError("not all lines are there")
    for y in range(height):
        kind, line = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
        for x in range(stride if kind else 0):
            left = line[x - size] if x >= size else 0
            up, corner = last[x], last[x - size] if x >= size else 0
            line[x] = (line[x] + (0, left, up, (left + up) // 2, paeth(left, up, corner))[kind]) & 255
        last = bytes(line)
        for x in range(0, stride, size):
            yield last[x:x + 3]


def paeth(left, up, corner):
    guess = left + up - corner
    return min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))[2]


def ppm(data):
    """The same of what older QEMUs give."""
    words = data.split(None, 4)
    if words[0] != b"P6" or words[3] != b"255":
        raise ValueError("not a PPM")
    width, height = int(words[1]), int(words[2])
    body = data[len(data) - 3 * width * height:]
    return width, height, len({body[i:i + 3] for i in range(0, len(body), 3)})


def look(data):
    return png(data) if data[:1] == b"\x89" else ppm(data)
