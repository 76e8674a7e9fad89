"""Writes the golden numbers of crates/backbone/tests/golden with Pillow, PyTorch and torchvision.

    python -m venv VENV && VENV/bin/pip install numpy "pillow<13" torch torchvision
    VENV/bin/python tools/backbone_golden.py crates/backbone/tests/golden

Pillow 13 begins with the vertical pass where the height shrinks much more than the width, which changes some pixels by one
grey level; up to 12 the horizontal pass always comes first, and that is what is followed here.

The versions that wrote the committed numbers stand in the files. Pictures, inputs and weights are filled from
`uniform` below, which crates/backbone/tests/common/mod.rs repeats, so that nothing large is stored.
"""

import hashlib
import io
import json
import pathlib
import sys

import numpy as np
import PIL
import torch
import torchvision
from PIL import Image
from torchvision.transforms import functional as F


def fnv1a(name):
    value = 2166136261
    for byte in name.encode():
        value = (value ^ byte) * 16777619 % 2**32
    return value


def uniform(name, count):
    """`count` values in [-1, 1), exact in float32: a hash of the name and the index."""
    h = np.arange(count, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(fnv1a(name))
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x7FEB352D)
    h = (h ^ (h >> np.uint32(15))) * np.uint32(0x846CA68B)
    h = h ^ (h >> np.uint32(16))
    return ((h >> np.uint32(8)).astype(np.float32) / np.float32(2**23)) - np.float32(1)


def picture(width, height, channels):
    """A smooth wave with noise: bytes from `uniform`, halved, plus a diagonal ramp."""
    noise = ((uniform(f"picture {width}x{height}x{channels}", width * height * channels) + 1) * 64).astype(np.uint8)
    noise = noise.reshape(height, width, channels)
    rows, columns = np.mgrid[0:height, 0:width]
    ramp = ((rows * 7 + columns * 3) % 128).astype(np.uint8)[:, :, None]
    pixels = noise + ramp
    return Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)


def resizes():
    cases = []
    sizes = [((28, 28), (224, 224)), ((28, 28), (14, 9)), ((100, 75), (31, 57)), ((300, 200), (256, 170)),
             ((17, 301), (224, 224)), ((640, 480), (224, 224)), ((5, 4), (5, 40)), ((33, 1), (7, 3)), ((1, 1), (6, 6))]
    for (width, height), (to_width, to_height) in sizes:
        for channels in (1, 3):
            out = F.resize(picture(width, height, channels), [to_height, to_width], F.InterpolationMode.BILINEAR, antialias=True)
            data = np.asarray(out).tobytes()
            cases.append({
                "width": width, "height": height, "channels": channels, "to_width": to_width, "to_height": to_height,
                "sha256": hashlib.sha256(data).hexdigest(), "first": list(data[:12]), "sum": int(np.frombuffer(data, np.uint8).sum()),
            })
    return cases


def transforms():
    """Torchvision's own transforms of the RegNet weights, V1 and V2: some values and the sum of each plane."""
    cases = []
    for preset, weights in (("torchvision", "IMAGENET1K_V1"), ("torchvision-v2", "IMAGENET1K_V2")):
        transform = torchvision.models.RegNet_X_400MF_Weights[weights].transforms()
        for width, height, channels in ((28, 28, 1), (301, 200, 3), (200, 301, 3), (640, 481, 3), (233, 232, 3)):
            values = transform(picture(width, height, channels).convert("RGB")).numpy()
            cases.append({
                "preset": preset, "width": width, "height": height, "channels": channels,
                "sums": [float(plane.sum(dtype=np.float64)) for plane in values],
                "corner": [float(v) for v in values[:, 0, 0]] + [float(v) for v in values[:, -1, -1]],
            })
    return cases


def fill(state):
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        u = torch.from_numpy(uniform(name, tensor.numel())).reshape(tensor.shape)
        if tensor.dim() == 4:
            scale = np.float32(np.sqrt(np.float64(6.0) / (tensor.shape[1] * tensor.shape[2] * tensor.shape[3])))
            tensor.copy_(u * scale)
        elif name.endswith("running_var"):
            tensor.copy_(1 + 0.5 * u)
        elif name.endswith("weight") and tensor.dim() == 1:
            tensor.copy_(0.6 + 0.2 * u)
        else:
            tensor.copy_(0.1 * u)


def regnet(name):
    model = getattr(torchvision.models, name)().eval()
    with torch.no_grad():
        fill(model.state_dict())
        model.fc = torch.nn.Identity()
        side = 224
        outputs = []
        for index in range(3):
            values = uniform(f"input {index}", 3 * side * side).reshape(1, 3, side, side) * np.float32(index + 1)
            outputs.append([float(v) for v in model(torch.from_numpy(values))[0]])
    return {"name": name, "outputs": [[float(str(np.float32(v))) for v in row] for row in outputs]}


def pth():
    """A small state dict as torch.save writes it: a slice with an offset, a parameter and a counter among it."""
    whole = torch.arange(24, dtype=torch.float32)
    buffer = io.BytesIO()
    torch.save({"a.weight": whole[4:16].reshape(3, 4), "b": torch.nn.Parameter(torch.tensor([1.5, -2.0])),
                "count": torch.tensor(7)}, buffer)
    return buffer.getvalue()


def main():
    folder = pathlib.Path(sys.argv[1])
    versions = {"pillow": PIL.__version__, "torch": torch.__version__, "torchvision": torchvision.__version__}

    def write(file, **content):
        (folder / file).write_text(json.dumps({"versions": versions, **content}, indent=None) + "\n")

    write("resize.json", cases=resizes(), transforms=transforms())
    write("regnet_x_400mf.json", **regnet("regnet_x_400mf"))
    (folder / "state_dict.pth").write_bytes(pth())
    frames = [picture(9, 7, 3), picture(9, 7, 1).convert("RGB")]
    frames[0].save(folder / "animated.webp", save_all=True, append_images=frames[1:], lossless=True)
    frames[0].save(folder / "animated.png", save_all=True, append_images=frames[1:])


main()
