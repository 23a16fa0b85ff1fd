"""Draws the curves of a results file as SVG: python bench/plots.py bench/results.json docs/performance

Needs matplotlib, which is not among the service's packages: `make bench` keeps it in .venv/bench.
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

OURS, PEERS, CEILING = "#2563eb", "#b45309", "#94a3b8"
COLOURS = {"coalesced": OURS, "one site per statement": PEERS, "fixed bytes": CEILING, "realtime": OURS, "peers": PEERS}
NAMES = {
    "coalesced": "coalesced",
    "one site per statement": "one site per statement",
    "fixed bytes": "ceiling: fixed bytes",
    "realtime": "sql/realtime.sql, one statement",
    "peers": "peers' shape, one statement per field",
}
STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e2e8f0",
    "grid.linewidth": 0.8,
    "axes.edgecolor": "#64748b",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "figure.facecolor": "white",
    "svg.fonttype": "none",
    "svg.hashsalt": "pulsehouse",
}


def draw(results: Path, folder: Path) -> list[Path]:
    mpl.rcParams.update(STYLE)
    folder.mkdir(parents=True, exist_ok=True)
    curves = json.loads(results.read_text())["curves"]
    drawn = []
    if rows := curves.get("connections"):
        drawn.append(connections(rows, folder / "connections.svg"))
    if rows := curves.get("statement"):
        drawn.append(independence(rows, folder / "independence.svg"))
    return drawn


def connections(rows: list[dict[str, Any]], path: Path) -> Path:
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
    for what in dict.fromkeys(row["what"] for row in rows):
        mine = [row for row in rows if row["what"] == what]
        x = [row["connections"] for row in mine]
        curve(left, x, [row["per_s"] for row in mine], what)
        curve(right, x, [row["p99"] for row in mine], what)
    left.set_title("Answers per second")
    right.set_title("p99 of an answer, ms")
    for axes in (left, right):
        log_log(axes, "connections, each polling without a pause")
    figure.legend(*left.get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=3)
    return save(figure, path)


def independence(rows: list[dict[str, Any]], path: Path) -> Path:
    """What must not matter: pairs of bars that should be equally long."""
    pairs: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if "asked" in row["experiment"] and row["experiment"] != "sites asked for at once":
            pairs.setdefault(row["experiment"], []).append(row)
    figure, axes = plt.subplots(figsize=(10, 0.62 * len(pairs) + 1.1), layout="constrained")
    labels = []
    for index, (experiment, (base, *_, case)) in enumerate(pairs.items()):
        for offset, row, colour in ((-0.2, base, "#93c5fd"), (0.2, case, OURS)):
            axes.barh(index + offset, row["median_ms"], 0.36, color=colour)
            axes.text(
                row["median_ms"] + 0.5,
                index + offset,
                f"{row['case']}: {row['median_ms']:.1f} ms",
                va="center",
                fontsize=9,
            )
        labels.append(experiment.replace(", 1 sites asked", ", 1 site asked").replace(", 1 asked", ", 1 site asked"))
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_axisbelow(True)
    axes.set_xlim(0, 1.25 * max(row["median_ms"] for pair in pairs.values() for row in pair))
    axes.set_xlabel("median time of the statement, ms")
    axes.set_title("What should not matter: history, clicks per visitor, other sites")
    return save(figure, path)


def curve(axes: Axes, x: list[int], y: list[float], what: str) -> None:
    axes.plot(x, y, "o-", color=COLOURS[what], label=NAMES[what], linewidth=2, markersize=4)


def log_log(axes: Axes, label: str) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(label)
    plain = FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    axes.xaxis.set_major_formatter(plain)
    axes.yaxis.set_major_formatter(plain)
    low, high = axes.get_ylim()
    if high / low < 100:
        axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if str(value)[0] in "25" else ""))


def save(figure: Any, path: Path) -> Path:
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path


if __name__ == "__main__":
    for path in draw(Path(sys.argv[1]), Path(sys.argv[2])):
        print(path)
