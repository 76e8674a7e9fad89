"""Writes crates/backbone/tests/golden/builtin.json: what PyTorch makes of the published weights.

    python tools/builtin/golden.py crates/backbone/src/network/builtin.safetensors crates/backbone/tests/golden
"""

import hashlib
import json
import pathlib
import sys

import numpy as np
import torch
from safetensors.numpy import load

from network import SIDE, loaded


def uniform(name, count):
    """`count` values in [-1, 1): the formula of tools/backbone_golden.py and crates/backbone/tests/common/mod.rs."""
    start = 2166136261
    for byte in name.encode():
        start = (start ^ byte) * 16777619 % 2**32
    h = np.arange(count, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(start)
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x7FEB352D)
    h = (h ^ (h >> np.uint32(15))) * np.uint32(0x846CA68B)
    h = h ^ (h >> np.uint32(16))
    return ((h >> np.uint32(8)).astype(np.float32) / np.float32(2**23)) - np.float32(1)


def main():
    weights = pathlib.Path(sys.argv[1]).read_bytes()
    trunk = loaded(load(weights))
    names = [f"builtin {index}" for index in range(3)]
    inputs = np.stack([(uniform(name, 3 * SIDE * SIDE) + 1) / 2 for name in names]).reshape(-1, 3, SIDE, SIDE)
    with torch.no_grad():
        outputs = trunk(torch.from_numpy(inputs)).numpy()
    golden = {
        "versions": {"torch": torch.__version__}, "weights": hashlib.sha256(weights).hexdigest(), "inputs": names,
        "outputs": [[float(str(value)) for value in row] for row in outputs],
    }
    (pathlib.Path(sys.argv[2]) / "builtin.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
