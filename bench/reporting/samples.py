# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The samples of a run: medians, ratios within rounds, and noise."""

import csv
import os

# A machine is too noisy if more than this share of the timings of a fixed piece
# of work took, by the clock, this many times the CPU time that the fastest tenth
# of them needed: because of other work, or because the CPU was slower.
SLOW = 1.15
SLOW_SHARE = 0.20
FEWEST_TIMINGS = 5


def quantile(values, q):
    """With linear interpolation between the two nearest."""
    ordered = sorted(values)
    at = q * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


class Summary:
    """Of the values of all rounds."""

    def __init__(self, values):
        self.rounds = len(values)
        self.median = quantile(values, 0.5)
        self.q1 = quantile(values, 0.25)
        self.q3 = quantile(values, 0.75)
        # Half of the rounds lie within this part of the median.
        self.spread = (self.q3 - self.q1) / self.median if self.median else 0


class Cell:
    def __init__(self, name, unit, better):
        self.name = name
        self.unit = unit
        self.better = better
        self.values = {}  # [side][metric][round]

    def sides(self):
        return [s for s in self.values if "value" in self.values[s]]

    def metric(self, side, name):
        """Its Summary, or None."""
        rounds = self.values.get(side, {}).get(name)
        return Summary(list(rounds.values())) if rounds else None

    def ratios(self, side, base):
        """SIDE by BASE in each round that has both; base "-": the values; "-BASE":
        what they are more than BASE's."""
        mine = self.values.get(side, {}).get("value", {})
        if base == "-":
            return list(mine.values())
        if base.startswith("-"):
            less = self.values.get(base[1:], {}).get("value", {})
            return [mine[r] - less[r] for r in mine if r in less]
        theirs = self.values.get(base, {}).get("value", {})
        return [mine[r] / theirs[r] for r in mine if theirs.get(r)]

    def speeds(self, side, base):
        """The same, turned so that more is better."""
        ratios = self.ratios(side, base)
        if self.better == "higher":
            return ratios
        return [1 / r for r in ratios if r]


class Noise:
    """How evenly a fixed piece of work was done between the rounds."""

    def __init__(self, timings, needed):
        self.timings = len(timings)
        self.known = self.timings >= FEWEST_TIMINGS
        self.slow_share = 0
        if self.known:
            limit = SLOW * quantile(needed, 0.1)
            slow = sum(1 for t in timings if t > limit)
            self.slow_share = slow / self.timings
        self.too_noisy = self.slow_share > SLOW_SHARE

    def text(self):
        if not self.known:
            return "noise of the machine unknown: too few rounds"
        return (
            f"{'MACHINE TOO NOISY TO JUDGE' if self.too_noisy else 'machine quiet'}:"
            f" {100 * self.slow_share:.0f} % of {self.timings} timings of a fixed"
            f" piece of work took over {SLOW:g} x the time it needs"
            f" (at most {100 * SLOW_SHARE:.0f} %)"
        )


class Run:
    def __init__(self, directory):
        self.directory = directory
        self.cells = {}
        self.timings = {"calibration": [], "calibration_cpu": []}
        for row in self._rows("cells.csv", 4):
            self.cells[row[0]] = Cell(*row[:3])
        for row in self._rows("samples.csv", 5):
            self._add(*row)
        self.noise = Noise(*self.timings.values())
        self.skipped = self._lines("skipped.txt")
        self.machine = self._lines("machine.txt")

    def _rows(self, name, width):
        path = os.path.join(self.directory, name)
        with open(path, newline="") as file:
            for number, row in enumerate(csv.reader(file), 1):
                if len(row) != width:
                    raise ValueError(f"{name}:{number}: not {width} fields")
                if number > 1:
                    yield row

    def _lines(self, name):
        try:
            with open(os.path.join(self.directory, name)) as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def _add(self, cell, side, number, metric, value):
        if cell not in self.cells:
            raise ValueError(f"samples.csv: cell {cell} is not in cells.csv")
        if metric in self.timings:
            self.timings[metric].append(float(value))
            return
        sides = self.cells[cell].values
        sides.setdefault(side, {}).setdefault(metric, {})[number] = float(value)
