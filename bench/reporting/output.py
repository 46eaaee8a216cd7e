# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""results.json, results.csv and the table for people."""

import csv
import json
import os

from .figures import FEWEST_ROUNDS, TOO_NOISY
from .samples import Summary

SIDES = ["tcp", "shim", "cgroup", "naive", "empty", "unix", "spin", "spin_unix"]
# What is shown beside a cell's own value, where a workload prints it.
METRICS = ["p50", "p99", "p99.9", "cpu", "redirected"]
# A ratio of which half of the rounds differ by more is marked.
NOISY_SPREAD = 0.10


def sides_of(cell):
    """In the usual order; others last."""
    order = {side: i for i, side in enumerate(SIDES)}
    return sorted(cell.sides(), key=lambda s: order.get(s, len(SIDES)))


def ratio_of(cell, side):
    """To TCP: its Summary, or None."""
    ratios = cell.ratios(side, "tcp") if side != "tcp" else []
    return Summary(ratios) if ratios else None


def side_record(cell, side):
    value, ratio = cell.metric(side, "value"), ratio_of(cell, side)
    record = vars(value).copy()
    if ratio:
        record["ratio"] = vars(ratio)
    record["metrics"] = {
        name: vars(cell.metric(side, name))
        for name in cell.values[side]
        if name != "value"
    }
    return record


def write_json(run, figures):
    cells = {
        cell.name: {
            "unit": cell.unit,
            "better": cell.better,
            "sides": {s: side_record(cell, s) for s in sides_of(cell)},
        }
        for cell in run.cells.values()
    }
    everything = {
        "machine": dict(line.split(None, 1) for line in run.machine),
        "noise": vars(run.noise),
        "skipped": dict(line.split(None, 1) for line in run.skipped),
        "cells": cells,
        "figures": [vars(f) for f in figures],
    }
    with open(os.path.join(run.directory, "results.json"), "w") as file:
        json.dump(everything, file, indent=1)
        file.write("\n")


def number(summary, what="median"):
    return f"{getattr(summary, what):.6g}" if summary else ""


def write_csv(run):
    header = ["cell", "side", "unit", "better", "rounds", "median", "q1", "q3"]
    header += ["ratio", "ratio_q1", "ratio_q3"] + METRICS
    with open(os.path.join(run.directory, "results.csv"), "w") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(header)
        for cell in run.cells.values():
            for side in sides_of(cell):
                value, ratio = cell.metric(side, "value"), ratio_of(cell, side)
                row = [cell.name, side, cell.unit, cell.better, value.rounds]
                for of in (value, ratio):
                    row += [number(of, w) for w in ("median", "q1", "q3")]
                row += [number(cell.metric(side, m)) for m in METRICS]
                out.writerow(row)


def short(value):
    """Three or four digits, and thousands as such."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def columns(rows):
    """The first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [text.rjust(width) for text, width in zip(row[1:], widths[1:])]
        yield "  ".join(cells).rstrip()


def ratio_text(cell, side):
    ratio = ratio_of(cell, side)
    if ratio:
        mark = "~" if ratio.spread > NOISY_SPREAD else ""
        return f"{mark}{ratio.median:.2f}x"
    value = cell.metric(side, "value")
    return short(value.median) if value else "-"


def ratio_rows(run):
    used = {s for cell in run.cells.values() for s in cell.sides()}
    others = [s for s in SIDES[1:] if s in used]
    yield ["cell", "better", "unit", "tcp", "spread"] + others
    for cell in run.cells.values():
        if not cell.sides():
            continue
        tcp = cell.metric("tcp", "value")
        row = [cell.name, "more" if cell.better == "higher" else "less"]
        row += [cell.unit, short(tcp.median) if tcp else "-"]
        row += [f"{100 * tcp.spread:.0f}%" if tcp else "-"]
        yield row + [ratio_text(cell, s) for s in others]


def metric_rows(run):
    yield ["cell, side", "value"] + METRICS
    for cell in run.cells.values():
        for side in sides_of(cell):
            found = [cell.metric(side, m) for m in METRICS]
            if not any(found):
                continue
            row = [f"{cell.name}, {side}"]
            row.append(short(cell.metric(side, "value").median))
            yield row + [short(m.median) if m else "-" for m in found]


def figure_rows(figures):
    yield ["figure", "bar", "is", "verdict"]
    for f in figures:
        is_ = short(f.value) if f.value is not None else "-"
        yield [f.text, f"{f.operator} {f.bar:g}", is_, f.verdict]


def table(run, figures):
    lines = list(run.machine) + ["", run.noise.text(), ""]
    lines += [f"side {s.replace(' ', ': ', 1)}, so skipped" for s in run.skipped]
    lines += list(columns(list(ratio_rows(run))))
    lines += [
        "",
        "tcp is a median, and how far half of its rounds lie apart. Other sides are",
        "the median over the rounds of their value by TCP's in the same round, or,",
        f"where there is no TCP, their value. ~: half lie over {100 * NOISY_SPREAD:.0f} % apart.",
    ]
    metrics = list(columns(list(metric_rows(run))))
    if len(metrics) > 1:
        lines += ["", "percentiles and CPU of both ends for an operation in us;"]
        lines += ["redirected: percent of the messages; medians", ""] + metrics
    lines += [""] + list(columns(list(figure_rows(figures))))
    if any(f.value and f.verdict == TOO_NOISY for f in figures):
        lines.append(
            "too noisy: the rounds disagree, or there are fewer than"
            f" {FEWEST_ROUNDS} of them"
        )
    for f in figures:
        if f.detail:
            lines.append(f"{f.text} ({f.operator} {f.bar:g}): {f.detail}")
    return "\n".join(lines) + "\n"
