"""Trains the network on distorted glyphs and figures and writes weights, and what was measured on the way.

    python tools/builtin/train.py --cache CACHE --features 128 --images 1500000 --out builtin.safetensors

Two workers of one thread each share every step: the gradient is the mean of theirs. CACHE keeps the drawn prototypes.
With `--prefixes 64,128` a classifier of its own learns from each prefix of the features; that is for choosing their
number. `--start WEIGHTS` begins with the weights of an earlier run, without its classifiers.
"""

import argparse
import json
import os
import pathlib
import platform
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import distributed, multiprocessing, nn

import distort
import glyphs
from network import Trunk, started, stored

WORKERS, BATCH = 2, 128  # pictures of a worker in a step
SEED = 20240


def prototypes(cache):
    path = pathlib.Path(cache) / "prototypes.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fields, labels, held, facts = glyphs.build()
        np.savez(path, fields=fields, labels=labels, held=held, facts=json.dumps(facts))
    with np.load(path) as arrays:
        facts = json.loads(str(arrays["facts"]))
        return torch.from_numpy(arrays["fields"]), torch.from_numpy(arrays["labels"]), arrays["held"], facts


class Heads(nn.Module):
    """The trunk and a linear classifier on each prefix of its features."""

    def __init__(self, features, prefixes, classes):
        super().__init__()
        self.trunk = Trunk(features)
        self.prefixes = prefixes
        self.heads = nn.ModuleList(nn.Linear(prefix, classes) for prefix in prefixes)

    def forward(self, pictures):
        features = self.trunk(pictures[:, None].contiguous(memory_format=torch.channels_last))
        return [head(features[:, :prefix]) for prefix, head in zip(self.prefixes, self.heads)]


def optimiser(model, steps, rate):
    decayed = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}]
    adam = torch.optim.AdamW(groups, lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        adam, [rate, rate], total_steps=steps, pct_start=0.08, div_factor=20, final_div_factor=1000)
    return adam, schedule


def average(tensors):
    """Makes tensors the mean over the workers."""
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    distributed.all_reduce(flat)
    flat /= WORKERS
    at = 0
    for tensor in tensors:
        tensor.copy_(flat[at:at + tensor.numel()].reshape(tensor.shape))
        at += tensor.numel()


def accuracy(model, fields, labels, distorted):
    """Of the classifier on all features: the part of the pictures that it has right."""
    generator = torch.Generator().manual_seed(1)
    right = 0
    with torch.no_grad():
        for at in range(0, len(fields), 500):
            part = fields[at:at + 500]
            pictures = distort.distorted(part, generator) if distorted else distort.plain(part)
            right += int((model(pictures)[-1].argmax(1) == labels[at:at + 500]).sum())
    return right / len(fields)


def work(worker, options):
    torch.set_num_threads(1)
    torch.manual_seed(SEED)  # the same first weights for both workers
    distributed.init_process_group("gloo", init_method=f"file://{options.meeting}", rank=worker, world_size=WORKERS)
    fields, labels, held, facts = prototypes(options.cache)
    learn = np.flatnonzero(~held)
    counts = np.bincount(labels.numpy()[learn], minlength=facts["classes"])
    # A class is drawn in proportion to the root of its prototypes, each of its prototypes alike.
    chance = torch.from_numpy(1 / np.sqrt(counts[labels.numpy()[learn]]))
    learn = torch.from_numpy(learn)
    model = Heads(options.features, options.prefixes, facts["classes"]).to(memory_format=torch.channels_last)
    if options.start:
        started(model.trunk, load_file(options.start))
    steps = options.images // (WORKERS * BATCH)
    adam, schedule = optimiser(model, steps, options.rate)
    generator = torch.Generator().manual_seed(SEED + 1 + worker)
    parameters, began, mean = list(model.parameters()), time.time(), 0.0
    for step in range(steps):
        chosen = learn[torch.multinomial(chance, BATCH, replacement=True, generator=generator)]
        pictures = distort.distorted(fields[chosen], generator)
        with torch.autocast("cpu", torch.bfloat16):
            outputs = model(pictures)
        loss = sum(nn.functional.cross_entropy(output.float(), labels[chosen]) for output in outputs) / len(outputs)
        adam.zero_grad()
        loss.backward()
        average([parameter.grad for parameter in parameters])
        adam.step()
        schedule.step()
        mean += (loss.item() - mean) / min(step + 1, 100)
        if worker == 0 and (step + 1) % 50 == 0:
            pace = (step + 1) * WORKERS * BATCH / (time.time() - began)
            print(f"step {step + 1} of {steps}, loss {mean:.3f}, {pace:.0f} pictures a second", flush=True)
            if (step + 1) % 500 == 0:
                save_file(stored(model.trunk), f"{options.out}.part")
    seconds = time.time() - began
    average([buffer for buffer in model.buffers() if buffer.is_floating_point()])
    if worker == 0:
        model.eval()
        where = torch.from_numpy(np.flatnonzero(held))
        facts |= {
            "features": options.features, "pictures": steps * WORKERS * BATCH, "steps": steps,
            "minutes": round(seconds / 60, 1), "loss": round(mean, 3),
            "held_out_distorted": round(accuracy(model, fields[where], labels[where], True), 4),
            "held_out_plain": round(accuracy(model, fields[where], labels[where], False), 4),
            "python": platform.python_version(), "torch": torch.__version__,
        }
        print(json.dumps({name: value for name, value in facts.items() if name != "packages"}), flush=True)
        save_file(stored(model.trunk), options.out)
        pathlib.Path(options.out).with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    distributed.destroy_process_group()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", required=True)
    parser.add_argument("--features", type=int, default=128)
    parser.add_argument("--prefixes", type=lambda text: [int(part) for part in text.split(",")])
    parser.add_argument("--images", type=int, default=1_500_000)
    parser.add_argument("--start")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    options.prefixes = options.prefixes or [options.features]
    options.meeting = pathlib.Path(options.out).resolve().with_suffix(".meeting")
    options.meeting.unlink(missing_ok=True)
    prototypes(options.cache)
    multiprocessing.spawn(work, (options,), nprocs=WORKERS)
    options.meeting.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
