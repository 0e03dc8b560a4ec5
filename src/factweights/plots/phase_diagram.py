"""How long the hallucination stage lasts, against S/√(RD) and against the condition of theorem 6."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from factweights.plots import style

_STARTS = (
    (style.ORANGE, "o"),
    (style.BLUE, "s"),
    (style.GREEN, "^"),
    (style.RED, "D"),
    (style.PURPLE, "v"),
    (style.SKY, "P"),
)


def phase_diagram(data: Mapping[str, Any]) -> Figure:
    """Draw the data of :class:`factweights.studies.figures.phase_diagram.PhaseDiagram`.

    Left, smallest KL from the relation-only predictor against the derived ratio; right, the same flows
    against the paper's. Where the points of all shapes fall on one line, the ratio is the one that matters.
    """
    figure, panels = style.new_panels(13.6, 5.8, 2)
    handles = []
    for axes, key in zip(panels, ("rate_ratio", "paper_ratio"), strict=True):
        axes.axhline(data["tolerance"], color=style.BLACK, linewidth=1.2, zorder=1)
        axes.axhspan(1e-5, data["tolerance"], color="#fdeec9", linewidth=0, zorder=0)
        axes.axvline(1, color=style.GREY, linestyle=(0, (5, 2)), linewidth=1.4, zorder=1)
        drawn = [
            _draw(axes, series["flows"], key, *_STARTS[k % len(_STARTS)], f"start {series['init']:g}")
            for k, series in enumerate(data["series"])
        ]
        drawn += _draw_others(axes, data["others"], key)
        handles = handles or drawn
        axes.set(xscale="log", yscale="log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    kls = [f["smallest_kl"] for series in data["series"] for f in series["flows"]]
    panels[0].set_ylim(min(kls) / 2, 2 * max(kls))
    panels[0].set_ylabel("smallest KL(p(·|r) ‖ p̂) on the way, nats")
    panels[0].set_xlabel("λ_rel/λ_sub: S/√(RD) × √((1 − 1/R)/(1 − 1/D))", fontsize=11)
    panels[1].set_xlabel("S / (8R√(2D)): theorem 6 asks for 1 or more", fontsize=11)
    panels[0].annotate(
        "hallucination stage",
        (0.02, data["tolerance"]),
        xycoords=("axes fraction", "data"),
        xytext=(0, -4),
        textcoords="offset points",
        va="top",
        color=style.GREY,
        fontsize=10,
    )
    style.title(panels[0], data["title"], f"{data['settings']} exact flows, each point a table")
    legend = figure.legend(handles=handles, loc="outside right center", title="balanced start α")
    style.quiet(legend)
    return figure


def _draw(
    axes: Axes,
    flows: list[dict[str, Any]],
    key: str,
    colour: str,
    marker: str,
    label: str,
    filled: bool = True,
) -> Line2D:
    x = [f[key] for f in flows]
    y = [max(f["smallest_kl"], 1e-5) for f in flows]
    face = colour if filled else "none"
    look: dict[str, Any] = {"markersize": 4.5, "markerfacecolor": face, "markeredgecolor": colour}
    return axes.plot(x, y, linestyle="none", marker=marker, label=label, alpha=0.75, zorder=3, **look)[0]


def _draw_others(axes: Axes, flows: list[dict[str, Any]], key: str) -> list[Line2D]:
    """Unequal frequencies and random tables, hollow."""
    drawn = []
    tables = [f for f in flows if f["kind"] == "random"]
    if tables:
        drawn.append(
            _draw(axes, tables, key, style.BLACK, "x", f"random tables, {tables[0]['init']:g}", False)
        )
    for k, exponent in enumerate(sorted({f["exponent"] for f in flows if f["kind"] == "zipf"})):
        here = [f for f in flows if f["kind"] == "zipf" and f["exponent"] == exponent]
        colour = (style.SKY, style.PURPLE, style.RED, style.GREY)[k % 4]
        label = f"Zipf subjects, exponent {exponent:g}, {here[0]['init']:g}"
        drawn.append(_draw(axes, here, key, colour, "osD^"[k % 4], label, False))
    return drawn
