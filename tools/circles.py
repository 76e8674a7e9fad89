#!/usr/bin/env python3
"""Circles of files: fails if files of a crate depend on each other in a circle.

    tools/circles.py CRATE...

A file depends on the file that defines what its `use` and its paths with `crate`, `self`, `super` or a submodule's name
lead to. What a file takes from the modules that it lies in does not count: a module assembles its parts, and they may
use what it defines. Tests at the end of a file and files of tests do not count either.
"""

import re
import sys
from pathlib import Path


def modules(source):
    found = {}
    for path in sorted(source.rglob("*.rs")):
        name = path.relative_to(source).with_suffix("").parts
        if name[-1] not in ("tests", "testing"):
            found[() if name in (("lib",), ("main",)) else name] = path
    return found


def leaves(tree):
    """The paths of a `use`: a::{b, c::d} is a::b and a::c::d."""
    prefix, brace, rest = tree.partition("{")
    if not brace:
        return [tree.split(" as ")[0].replace(" ", "")]
    parts, depth = [""], 0
    for char in rest[: rest.rindex("}")]:
        depth += (char == "{") - (char == "}")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [prefix.replace(" ", "") + leaf for part in parts if part.strip() for leaf in leaves(part.strip())]


def dependencies(name, files):
    text = re.split(r"#\[cfg\(test\)\]\s*mod tests \{", files[name].read_text())[0]
    text = re.sub(r'"(?:\\.|[^"\\])*"', '""', re.sub(r"//[^\n]*", "", text))
    children = {other[-1] for other in files if other and other[:-1] == name}
    paths = [leaf for use in re.findall(r"\buse\s+([^;]+);", text) for leaf in leaves(" ".join(use.split()))]
    paths += re.findall(r"(?<![:\w.])\w+(?:::\w+)+", re.sub(r"\buse\s+[^;]+;", "", text))
    for path in paths:
        segments = path.split("::")
        if segments[0] not in children | {"crate", "self", "super"}:
            continue
        at = () if segments[0] == "crate" else name
        while segments and segments[0] in ("crate", "self", "super"):
            at = at[:-1] if segments.pop(0) == "super" else at
        while segments and at + (segments[0],) in files:
            at += (segments.pop(0),)
        if name[: len(at)] != at:
            yield at


def circles(graph):
    def reached(start):
        seen, todo = set(), [start]
        while todo:
            for target in graph[todo.pop()] - seen:
                seen.add(target)
                todo.append(target)
        return seen

    reach = {name: reached(name) for name in graph}
    return {tuple(sorted(n for n in reach if n in reach[m] and m in reach[n])) for m in graph if m in reach[m]}


found = False
for crate in sys.argv[1:]:
    root = Path(__file__).parent.parent
    files = modules(root / "crates" / crate / "src") or modules(root / crate / "src")
    if not files:
        sys.exit(f"no files of a crate {crate}: name folders in crates/, or python")
    graph = {name: set(dependencies(name, files)) for name in files}
    for circle in sorted(circles(graph)):
        found = True
        print(f"{crate}: in a circle:", ", ".join("::".join(name) for name in circle))
sys.exit(1 if found else 0)
