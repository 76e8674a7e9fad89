#!/usr/bin/env python3
"""Runs the benches of key switches and of training, and writes their results as one JSON document.

    benches/to_json.py RESULTS.json [--all] [--collect-only]

--all runs every case, the slow layout included. --collect-only takes what earlier runs left in target/criterion.
Needs Python 3.9 or newer and cargo, nothing else. Times are in seconds: `median` with the ends of its 95 % confidence
interval, as criterion estimates them.
"""

import argparse
import json
import os
import pathlib
import platform
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent

# What is run, and the filter that leaves the slow layout out.
RUNS = [
    (["-p", "ciphertune-ring", "--bench", "ring"], "key switch"),
    (["-p", "ciphertune-ckks", "--bench", "ckks"], ""),
    (["-p", "ciphertune-head", "--bench", "training"], "class-diagonal"),
]


def cpu_model():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or None


def collect(folder, since):
    cases = []
    for path in sorted(folder.rglob("new/estimates.json")):
        if path.stat().st_mtime < since:
            continue
        case = json.loads((path.parent / "benchmark.json").read_text())
        median = json.loads(path.read_text())["median"]
        interval = median["confidence_interval"]
        names = [case["function_id"], case["value_str"]]
        cases.append({
            "group": case["group_id"],
            "case": ", ".join(name for name in names if name),
            "median": median["point_estimate"] / 1e9,
            "low": interval["lower_bound"] / 1e9,
            "high": interval["upper_bound"] / 1e9,
        })
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=pathlib.Path, help="the JSON file to write")
    parser.add_argument("--all", action="store_true", help="every case")
    parser.add_argument("--collect-only", action="store_true", help="run nothing")
    arguments = parser.parse_args()

    # File systems keep times no finer than two seconds at worst.
    since = 0 if arguments.collect_only else time.time() - 2
    if not arguments.collect_only:
        for bench, keep in RUNS:
            subprocess.run(["cargo", "bench", *bench, "--", "" if arguments.all else keep], cwd=ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    cases = collect(target / "criterion", since)
    if not cases:
        parser.error(f"there are no results in {target / 'criterion'}: run without --collect-only")
    rustc = subprocess.run(["rustc", "--version"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    document = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rustc": rustc,
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "threads": os.environ.get("RAYON_NUM_THREADS"),
        "kernels": os.environ.get("CIPHERTUNE_KERNELS"),
        "cases": cases,
    }
    arguments.results.write_text(json.dumps(document, indent=2) + "\n")
    print(f"{arguments.results}: {len(cases)} cases")


if __name__ == "__main__":
    main()
