# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Plots by gnuplot, as SVG and PNG; their scripts and data stay beside them."""

import glob
import os
import re
import shutil
import subprocess
import sys

from .output import SIDES, sides_of

# The same in every plot, and for most colour-blind eyes apart.
COLOURS = {
    "tcp": "#555555",
    "shim": "#0072b2",
    "cgroup": "#56b4e9",
    "naive": "#e69f00",
    "empty": "#f0e442",
    "unix": "#009e73",
    "spin": "#cc79a7",
    "spin_unix": "#d55e00",
}
TERMINALS = {
    "svg": "svg size 800,500 dynamic background 'white'",
    "png": "pngcairo size 800,500",
}


def streams(run, pattern):
    """{side: [(x, MiB/s)]} of the cells whose name is like @pattern, which has a
    group for x; 1 where that is missing."""
    series = {}
    for cell in run.cells.values():
        match = re.fullmatch(pattern, cell.name)
        for side in sides_of(cell) if match else []:
            rate = cell.metric(side, "mib").median
            series.setdefault(side, []).append((int(match[1] or 1), rate))
    return series


def histogram(run, cell, side):
    """{us: count} of all rounds."""
    counts = {}
    for path in glob.glob(
        os.path.join(glob.escape(run.directory), "raw", f"{cell}.{side}.*.hist")
    ):
        with open(path) as file:
            for line in file:
                nsecs, count = line.split()
                usecs = float(nsecs) / 1e3
                counts[usecs] = counts.get(usecs, 0) + int(count)
    return counts


def distribution(run, name):
    """{side: [(us, percent that took no longer)]} of that cell."""
    series = {}
    cell = run.cells.get(name)
    for side in sides_of(cell) if cell else []:
        counts = histogram(run, name, side)
        total, seen = sum(counts.values()), 0
        for usecs in sorted(counts):
            seen += counts[usecs]
            series.setdefault(side, []).append((usecs, 100 * seen / total))
    return series


def script(name, title, x, y, options, series, style):
    lines = [f"set title '{title}'", f"set xlabel '{x}'", f"set ylabel '{y}'"]
    lines += ["set grid", "set key outside right"] + options
    for side, points in series.items():
        lines.append(f"${side} << EOD")
        lines += [f"{a:g} {b:g}" for a, b in sorted(points)]
        lines.append("EOD")
    plots = [
        f"${side} using 1:2 with {style} lw 2 lc rgb '{COLOURS[side]}'"
        f" title '{side}' noenhanced"
        for side in SIDES
        if side in series
    ]
    for suffix, terminal in TERMINALS.items():
        lines += [f"set terminal {terminal}", f"set output '{name}.{suffix}'"]
        lines.append("plot " + ", ".join(plots))
    return "\n".join(lines) + "\n"


def draw_one(directory, name, *what):
    path = os.path.join(directory, f"{name}.gnuplot")
    with open(path, "w") as file:
        file.write(script(name, *what))
    done = subprocess.run(
        ["gnuplot", f"{name}.gnuplot"], cwd=directory, capture_output=True, text=True
    )
    # Its warnings (a plot of one point) are of no interest.
    if done.returncode:
        raise OSError(f"gnuplot failed: {done.stderr.strip()}")


def draw(run):
    """What there are samples for."""
    log_x, log_y = "set logscale x", "set logscale y"
    wanted = [
        ("throughput", "Stream by message size, two CPUs", "bytes", "MiB/s")
        + (["set logscale x 2", log_y], streams(run, r"stream_(\d+)_two"), "linespoints"),
        ("connections", "Streams of 64 KiB, two CPUs", "connections", "MiB/s")
        + ([log_x, "set yrange [0:*]"], streams(run, r"stream_65536_two(?:_c(\d+))?"), "linespoints"),
    ]
    for place, text in (("same", "one CPU"), ("two", "two CPUs")):
        wanted.append(
            (f"latency_{place}", f"Ping-pong of 64 B, {text}", "us", "percent")
            + ([log_x], distribution(run, f"pingpong_64_{place}"), "steps")
        )
    wanted = [plot for plot in wanted if plot[5]]
    if not wanted:
        return
    if not shutil.which("gnuplot"):
        print("bench/report: no plots: gnuplot is not installed", file=sys.stderr)
        return
    directory = os.path.join(run.directory, "plots")
    os.makedirs(directory, exist_ok=True)
    for plot in wanted:
        draw_one(directory, *plot)
