#!/usr/bin/env python3
"""How many threads of a command run at a time.

    tools/threads.py [--last SECONDS] COMMAND ...

Looks a thousand times a second at the states of the command's threads (Linux), and prints for how much of its time how many
ran; with --last only of its last seconds, for example those that `train` says it trained. A thread that waits for work and
spins counts as running, so short waits do not show; a share of time in which one thread runs is serial, and bounds what
more cores can bring: 1 / share.
"""

import os
import subprocess
import sys
import time
from collections import Counter


def running(tasks):
    """Threads in state R."""
    count = 0
    for task in os.listdir(tasks):
        try:
            with open(f"{tasks}/{task}/stat", "rb") as file:
                stat = file.read()
        except OSError:
            continue
        count += stat[stat.rindex(b")") + 2 :][:1] == b"R"
    return count


def main():
    arguments = sys.argv[1:]
    last = None
    if arguments[:1] == ["--last"]:
        last = float(arguments[1])
        arguments = arguments[2:]
    if not arguments:
        sys.exit(__doc__)
    child = subprocess.Popen(arguments)
    samples = []
    while child.poll() is None:
        try:
            samples.append((time.monotonic(), running(f"/proc/{child.pid}/task")))
        except OSError:
            break
        time.sleep(0.001)
    code = child.wait()
    if not samples:
        sys.exit(code)
    end = samples[-1][0]
    begin = samples[0][0] if last is None else end - last
    counts = Counter(count for at, count in samples if at >= begin)
    total = sum(counts.values())
    print(f"{total} looks in {end - begin:.2f} s:", file=sys.stderr)
    for count in sorted(counts):
        print(f"  {count:3} running  {counts[count] / total:6.1%}", file=sys.stderr)
    mean = sum(count * looks for count, looks in counts.items()) / total
    alone = sum(looks for count, looks in counts.items() if count <= 1) / total
    print(f"  mean {mean:.1f}; at most one {alone:.1%}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
