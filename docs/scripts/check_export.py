"""Checks that a head's three files say the same on random features, of usual size and so large that sigmoids vanish.

    python3 docs/scripts/check_export.py head.safetensors head.onnx head.json

Needs numpy, safetensors, onnx and onnxruntime.
"""

import json
import sys

import numpy as np
import onnx
import onnxruntime
from safetensors import safe_open


def sigmoids_by_their_sum(logits):
    """The probabilities of rows of logits: the softmax of ln sigma(z), which does not vanish with the sigmoids."""
    log_sigmoid = np.minimum(logits, 0) - np.log1p(np.exp(-np.abs(logits)))
    weights = np.exp(log_sigmoid - log_sigmoid.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    tensors, onnx_file, json_file = sys.argv[1:]
    with safe_open(tensors, framework="numpy") as file:
        weight, bias = file.get_tensor("weight"), file.get_tensor("bias")
        classes = json.loads(file.metadata()["classes"])
    features = np.random.default_rng(1).gamma(1.0, size=(500, weight.shape[1])).astype(np.float32)
    features[250:] *= 1000
    logits = features @ weight.T + bias
    expected = [classes[row] for row in logits.argmax(axis=1)]

    onnx.checker.check_model(onnx.load(onnx_file), full_check=True)
    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    onnx_logits, probabilities, labels = session.run(
        ["logits", "probabilities", "label"], {"features": features}
    )
    largest = np.abs(logits).max(axis=1, keepdims=True)
    difference = (np.abs(onnx_logits - logits) / largest).max()
    # The smallest lead of a row's best class decides whether rounding to single precision may change its label.
    ordered = np.sort(logits, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > 1e-4 * largest[:, 0]
    same = [str(label) == name for label, name, is_clear in zip(labels, expected, clear) if is_clear]
    assert difference < 1e-5, difference
    assert np.allclose(probabilities, sigmoids_by_their_sum(onnx_logits.astype(np.float64)), atol=1e-5)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert all(same)

    with open(json_file) as file:
        head = json.load(file)
    assert head["classes"] == classes
    assert np.array_equal(np.array(head["weight"]), weight) and np.array_equal(np.array(head["bias"]), bias)
    print(f"{len(features)} rows: ONNX logits differ by {difference:.1e} of the largest, probabilities agree and add up to")
    print(f"one; {len(same)} labels agree (others are too close to call in single precision), and so does the JSON")


if __name__ == "__main__":
    main()
