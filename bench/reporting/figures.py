# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Figures that are to be reached, and whether the samples reach them."""

from .samples import Summary

MET = "met"
NOT_MET = "NOT MET"
TOO_NOISY = "too noisy"
NOT_MEASURED = "not measured"

FEWEST_ROUNDS = 3
# On a noisy machine so many rounds must agree: fewer do so by chance.
FEWEST_AGREEING = 5
# Rounds that disagree about a bar by no more than this are near it, not noisy.
NEAR = 0.05


class Figure:
    def __init__(self, cell, side, base, operator, bar, text):
        if operator not in ("<=", ">="):
            raise ValueError(f"figure {cell}: '{operator}' is not <= or >=")
        self.cell, self.side, self.base, self.text = cell, side, base, text
        self.operator, self.bar = operator, float(bar)
        self.verdict = NOT_MEASURED
        self.value = None
        self.detail = ""

    def reaches(self, value):
        if self.operator == "<=":
            return value <= self.bar
        return value >= self.bar


def read(path):
    figures = []
    with open(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip() or line.startswith("#"):
                continue
            words = line.split(None, 5)
            if len(words) != 6:
                raise ValueError(f"{path}:{number}: not six words")
            figures.append(Figure(*words[:5], words[5].strip()))
    return figures


def verdict_of(figure, values, noisy_machine):
    """By all rounds if they agree; else by the median, unless it is noise."""
    if not values:
        return NOT_MEASURED
    if len(values) < FEWEST_ROUNDS:
        return TOO_NOISY
    reached = [figure.reaches(v) for v in values]
    agree = all(reached) or not any(reached)
    if noisy_machine and not (agree and len(values) >= FEWEST_AGREEING):
        return TOO_NOISY
    if agree:
        return MET if reached[0] else NOT_MET
    of = Summary(values)
    if figure.reaches(of.q1) != figure.reaches(of.q3) and of.spread > NEAR:
        return TOO_NOISY
    return MET if figure.reaches(of.median) else NOT_MET


def judge_one(run, figure):
    cell = run.cells.get(figure.cell)
    values = cell.ratios(figure.side, figure.base) if cell else []
    figure.verdict = verdict_of(figure, values, run.noise.too_noisy)
    if values:
        figure.value = Summary(values).median


def judge_every(run, figure):
    """The worst cell is the figure, and each that does not reach it is named."""
    medians, failed, unclear = [], [], []
    for cell in run.cells.values():
        if cell.name.startswith("cost_"):
            continue
        values = cell.speeds(figure.side, figure.base)
        if not values:
            continue
        median = Summary(values).median
        medians.append(median)
        verdict = verdict_of(figure, values, run.noise.too_noisy)
        if verdict == NOT_MET:
            failed.append(f"{cell.name} {median:.2f}")
        elif verdict == TOO_NOISY:
            unclear.append(f"{cell.name} {median:.2f}")
    if not medians:
        return
    figure.value = min(medians) if figure.operator == ">=" else max(medians)
    figure.verdict = NOT_MET if failed else TOO_NOISY if unclear else MET
    met = len(medians) - len(failed) - len(unclear)
    figure.detail = f"{met} of {len(medians)} cells"
    if failed:
        figure.detail += f"; not: {', '.join(failed)}"
    if unclear:
        figure.detail += f"; too noisy: {', '.join(unclear)}"


def judge(run, figures):
    for figure in figures:
        if figure.cell == "*":
            judge_every(run, figure)
        else:
            judge_one(run, figure)
    return figures
