"""The figures of a report, drawn: SVG for documents, PNG for everything else."""

from pathlib import Path

from tests.benchmark.report import Report


def draw(report: Report, folder: Path) -> list[Path]:
    """Write a plot of the ratios with their quartiles and targets, and return the files."""
    import matplotlib as mpl  # noqa: PLC0415 (it takes a second)

    mpl.use("agg")
    from matplotlib import pyplot  # noqa: PLC0415 (after the choice of what draws)

    shown = [each for each in report.comparisons if each.against]
    figure, axes = pyplot.subplots(figsize=(9, 1 + 0.3 * len(shown)))
    for place, each in enumerate(shown):
        colour = {True: "tab:green", False: "tab:red", None: "tab:gray"}[each.met]
        axes.plot([each.ratio.low, each.ratio.high], [place, place], color=colour, linewidth=3)
        axes.plot(each.ratio.median, place, "o", color=colour)
        if each.target is not None:
            axes.plot(each.target.limit, place, "|", color="black", markersize=12)
    axes.set_xscale("log")
    axes.set_yticks(range(len(shown)), [f"{each.workload}: {each.words} ({each.better} is better)" for each in shown])
    axes.invert_yaxis()
    axes.set_xlabel("ratio: median and quartiles over rounds; | is the target")
    figure.tight_layout()
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"ratios.{kind}" for kind in ("svg", "png")]
    for file in files:
        figure.savefig(file)
    pyplot.close(figure)
    return files
