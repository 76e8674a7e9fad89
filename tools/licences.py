#!/usr/bin/env python3
"""Licences and sources: fails if a dependency's licence is not among those of deny.toml, or comes from elsewhere.

    tools/licences.py

Judges what `cargo deny check licenses sources` judges first, the licence that every package declares and the registry
that it comes from, and the wildcard versions that its `bans` refuse, by the same deny.toml, in a second and without
building cargo-deny, which takes six minutes of a core (0.20). What cargo-deny does beyond that, comparing the declaration with the text of
the licence, is for it alone. Needs Python 3.11.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"


def is_allowed(expression, allowed):
    """Whether an SPDX expression can be met with the allowed licences alone.

    >>> is_allowed("MIT OR GPL-3.0-only", {"MIT"}), is_allowed("MIT AND GPL-3.0-only", {"MIT"})
    (True, False)
    >>> is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0", {"Apache-2.0", "Unicode-3.0"}), is_allowed("MIT/Zlib", {"Zlib"})
    (True, True)
    >>> is_allowed("Apache-2.0 WITH LLVM-exception", {"Apache-2.0"})
    False
    >>> is_allowed("Zlib OR MIT AND GPL-3.0-only", {"MIT"}), is_allowed("", {"MIT"}), is_allowed("MIT MIT", {"MIT"})
    (False, False, False)
    """
    tokens = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))

    def either():
        met = both()
        while tokens[:1] == ["OR"]:
            tokens.pop(0)
            met = both() or met
        return met

    def both():
        met = one()
        while tokens[:1] == ["AND"]:
            tokens.pop(0)
            met = one() and met
        return met

    def one():
        if not tokens:
            return False
        token = tokens.pop(0)
        if token == "(":
            met = either()
            return tokens[:1] == [")"] and bool(tokens.pop(0)) and met
        if tokens[:1] == ["WITH"]:
            token = " ".join([token, tokens.pop(0), *tokens[:1]])
            del tokens[:1]
        return token in allowed

    return either() and not tokens


def complaints(packages, deny):
    allowed = set(deny["licenses"]["allow"])
    exceptions = {entry["crate"]: set(entry["allow"]) for entry in deny["licenses"].get("exceptions", [])}
    unused = allowed | set(exceptions)
    for package in packages:
        name, licence = package["name"], package["license"] or ""
        unused.discard(name)
        unused -= set(re.findall(r"[\w.-]+", licence))
        if not is_allowed(licence, allowed | exceptions.get(name, set())):
            yield f"{name} {package['version']}: licence {licence or 'not declared'!r} is not in deny.toml"
        if package["source"] not in (None, CRATES_IO):
            yield f"{name} {package['version']}: comes from {package['source']}, not from crates.io"
        if package["source"] is None:
            for dependency in package["dependencies"]:
                if dependency["req"] == "*":
                    yield f"{name}: depends on any version of {dependency['name']}"
    yield from (f"deny.toml: {entry} is allowed, and nothing needs it" for entry in sorted(unused))


def main():
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features"]
    run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if run.returncode:
        return "cargo metadata failed"
    packages = json.loads(run.stdout)["packages"]
    found = list(complaints(packages, tomllib.loads((ROOT / "deny.toml").read_text())))
    print("\n".join(found) if found else f"{len(packages)} packages: licences and sources as deny.toml wants them")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
