"""Distance fields to distorted pictures of 32 x 32 pixels in [0, 1], bright strokes on a dark ground."""

import torch
from torch.nn import functional as F

from glyphs import GLYPH, SIDE as FIELD, STEPS
from network import SIDE

# Sides of the low resolutions that pictures go through, as likely as they are listed.
SIDES = (8, 8, 8, 10, 12, 16, 20, 24, 28, 28, 28, 32)


def uniform(generator, low, high, *shape):
    return low + (high - low) * torch.rand(*shape, generator=generator)


def drawn(fields, zoom, grid, width, soft):
    """Draws `fields` (n x 64 x 64 bytes) at the places of `grid`; `zoom` pixels of the picture are one of the field.

    The strokes' half widths become `width` pixels as far as dilation by 2 pixels, and erosion that leaves 0.4 of the
    thickest place, allow."""
    distance = (fields[:, None].float() - 128) / STEPS
    thickest = distance.amax((1, 2, 3)) * zoom
    change = torch.minimum(torch.maximum(width - thickest, -0.6 * thickest), torch.tensor(2.0))
    ink = F.grid_sample(distance, grid, padding_mode="border", align_corners=False)[:, 0]
    ink = ink * zoom[:, None, None] + change[:, None, None]
    return (0.5 + ink / soft[:, None, None]).clamp(0, 1)


def through(pictures, side):
    """Lowers the resolution to `side` and enlarges again, as 8 x 8 pictures are; 8 x 8 in 17 levels."""
    if side == SIDE:
        return pictures
    low = F.interpolate(pictures[:, None], size=(side, side), mode="area")
    if side == 8:
        low = torch.round(low * 16) / 16
    return F.interpolate(low, size=(SIDE, SIDE), mode="bilinear", align_corners=False)[:, 0]


def distorted(fields, generator):
    """Affine and elastic distortion, width of strokes, resolution, blur, contrast, noise; n x 32 x 32."""
    n = len(fields)
    within = uniform(generator, 0.6, 1.05, n)  # the part of the frame that the glyph takes
    zoom = SIDE * within / GLYPH
    angle = torch.randn(n, generator=generator) * 0.16
    lean = torch.randn(n, generator=generator) * 0.2
    stretch = torch.exp(torch.randn(n, generator=generator) * 0.14)
    stretch = torch.where(torch.rand(n, generator=generator) < 0.3, stretch * uniform(generator, 0.6, 1.3, n), stretch)
    cos, sin = torch.cos(angle), torch.sin(angle)
    # Rows of the inverse map, from the picture to the field, both in [-1, 1].
    scale = GLYPH / FIELD / within
    rotate = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    shear = torch.stack([torch.stack([1 / stretch, lean], 1),
                         torch.stack([torch.zeros(n), stretch.clamp(0.7, 1.4)], 1)], 1)
    turn = (shear @ rotate) * scale[:, None, None]
    room = (1 - within).clamp(min=0.0)[:, None] * 0.8 + 0.04
    shift = uniform(generator, -1, 1, n, 2) * room * scale[:, None]
    grid = F.affine_grid(torch.cat([turn, shift[:, :, None]], 2), (n, 1, SIDE, SIDE), align_corners=False)
    bend = torch.randn(n, 2, 4, 4, generator=generator) * uniform(generator, 0, 0.09, n)[:, None, None, None]
    bend = F.interpolate(bend, size=(SIDE, SIDE), mode="bicubic", align_corners=True)
    ripple = torch.randn(n, 2, 7, 7, generator=generator) * uniform(generator, 0, 0.03, n)[:, None, None, None]
    ripple = F.interpolate(ripple, size=(SIDE, SIDE), mode="bicubic", align_corners=True)
    grid = grid + ((bend + ripple) * scale[:, None, None, None]).permute(0, 2, 3, 1)
    width = uniform(generator, 0.7, 2.8, n)
    pictures = drawn(fields, zoom, grid, width, uniform(generator, 0.8, 2.2, n))
    order = torch.randperm(n, generator=generator)
    parts = []
    for part in order.chunk(8):
        side = SIDES[int(torch.randint(len(SIDES), (1,), generator=generator))]
        parts.append(through(pictures[part], side))
    pictures = torch.empty_like(pictures)
    pictures[order] = torch.cat(parts)
    blurred = F.avg_pool2d(pictures[:, None], 3, 1, 1, count_include_pad=False)[:, 0]
    blur = (torch.rand(n, generator=generator) < 0.3) * uniform(generator, 0.2, 1, n)
    pictures = torch.lerp(pictures, blurred, blur[:, None, None])
    gain = torch.where(torch.rand(n, generator=generator) < 0.5, torch.ones(n), uniform(generator, 0.55, 1.5, n))
    pictures = (pictures * gain[:, None, None]).clamp(0, 1)
    noise = (torch.rand(n, generator=generator) < 0.25) * uniform(generator, 0, 0.12, n)
    pictures = pictures + torch.randn(pictures.shape, generator=generator) * noise[:, None, None]
    return pictures.clamp(0, 1)


def plain(fields):
    """The drawings without distortion, filling 0.8 of the frame."""
    n = len(fields)
    within = torch.full((n,), 0.8)
    turn = torch.eye(2, 3)[None] * (GLYPH / FIELD / within)[:, None, None]
    grid = F.affine_grid(turn, (n, 1, SIDE, SIDE), align_corners=False)
    return drawn(fields, SIDE * within / GLYPH, grid, torch.full((n,), 1.5), torch.ones(n))
