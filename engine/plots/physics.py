"""The simulated physics: spectra before and after cuts, S2/S1 bands, detector response, and single events."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from engine.inference.density import weighted_quantiles
from engine.plots import plain_numbers, styled
from engine.plots._tubes import charge_scale, hit_pattern

ARRAY_COLOURS = {"top": "#bd1f01", "bottom": "#2e8b57"}  # red and green, as in the paper
UNITS = {"ER": "keV", "NR": "keVnr"}
COLOURS = {"ER": "#3f90da", "NR": "#bd1f01"}
DARK = {"ER": "#08306b", "NR": "#67000d"}
SIGNAL_COLOUR = "#2c8c3c"
DECADES = 5  # of rate shown below the highest that passes
BAND_BINS = 25
FEWEST = 20  # events in a bin that has quantiles
PERCENT = (50, 10, 90)
SIGMA_LOW = (0.15865, 0.02275)  # quantiles at one and two sigma
SIGMAS = {0.5: "-", SIGMA_LOW[0]: "--", 1 - SIGMA_LOW[0]: "--", SIGMA_LOW[1]: ":", 1 - SIGMA_LOW[1]: ":"}

Curve = tuple[np.ndarray, np.ndarray]  # before and after cuts


@styled
def spectra(panels: dict[str, tuple[np.ndarray, dict[str, Curve], dict[str, Curve]]]) -> Figure:
    """Events / (t y keV) against true energy, a panel per kind (Fig. 5 of the semi-supervised paper).

    `panels` maps a kind to energies (n,) in keV and, by label, the (n,) curves before and after cuts of its
    backgrounds and of signals; a black total is the sum of the backgrounds.
    """
    figure = Figure(figsize=(15, 7), layout="constrained")
    for axes, (kind, (energy_keV, backgrounds, signals)) in zip(_row(figure, panels), panels.items(), strict=True):
        _spectrum_panel(axes, energy_keV, backgrounds, signals)
        axes.set(xlabel=f"true energy [{UNITS[kind]}]", ylabel=f"{kind} / (t y keV)")
    return figure


def _spectrum_panel(axes: Axes, energy_keV: np.ndarray, backgrounds: dict[str, Curve], signals: dict) -> None:
    curves = list(backgrounds.values())
    for i, (label, curve) in enumerate(backgrounds.items()):
        _before_and_after(axes, energy_keV, curve, color=f"C{i}", lw=1.6, label=label)
    for label, curve in signals.items():
        _before_and_after(axes, energy_keV, curve, color=SIGNAL_COLOUR, lw=2.4, label=label)
    if curves:
        total = tuple(np.sum([curve[i] for curve in curves], axis=0) for i in (0, 1))
        _before_and_after(axes, energy_keV, total, color="black", lw=2.2, label="total background")
    everything = [after for _, after in [*curves, *signals.values()]]
    highest = np.nan_to_num(everything).max(initial=0.0) or 1.0
    axes.set(yscale="log", ylim=(highest * 10.0**-DECADES, highest * 5), xlim=(energy_keV[0], energy_keV[-1]))
    handles = axes.get_legend_handles_labels()[0]
    styles = [Line2D([], [], color="0.3", ls=ls, label=stage) for ls, stage in (("--", "before cuts"), ("-", "after"))]
    axes.legend(handles=[*handles, *styles], loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)


def _before_and_after(axes: Axes, energy_keV: np.ndarray, curve: Curve, *, label: str, **style) -> None:
    axes.plot(energy_keV, _shown(curve[0]), ls="--", **style)
    axes.plot(energy_keV, _shown(curve[1]), label=label, **style)


def _shown(rate: np.ndarray) -> np.ndarray:
    return np.where(rate > 0, rate, np.nan)  # a zero is no point of a log axis


@styled
def bands(events: dict[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """log10(cS2 / cS1) against cS1 for each kind, with median and 10 and 90 per cent lines.

    `events` maps a kind to cS1 in PE and log10(cS2 / cS1), both (n,).
    """
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel="cS1 [PE]", ylabel=r"$\log_{10}$(cS2 / cS1)")
    for kind, (cs1_pe, value) in events.items():
        look = {"color": COLOURS[kind], "alpha": 0.3, "rasterized": True, "gid": f"events {kind}"}
        axes.plot(cs1_pe, value, ".", ms=3, mew=0, **look)
    for kind, (cs1_pe, value) in events.items():
        quantiles(axes, kind, cs1_pe, value)
    if len(everything := np.concatenate([value for _, value in events.values()])):
        low, high = np.percentile(everything, (0.02, 99.98))
        axes.set(ylim=(low - 0.1, high + 0.1), xlim=(0, max(cs1_pe.max(initial=0.0) for cs1_pe, _ in events.values())))
    axes.legend(ncols=2)
    return figure


def quantiles(axes: Axes, kind: str, cs1_pe: np.ndarray, value: np.ndarray) -> None:
    """Draws the 10 %, 50 % and 90 % quantiles of `value` (n,) in bins of cS1 (n,), where a bin holds enough events."""
    edges = np.linspace(0, np.percentile(cs1_pe, 99.5) if len(cs1_pe) else 1.0, BAND_BINS + 1)
    bin_index = np.digitize(cs1_pe, edges) - 1
    full = [i for i in range(BAND_BINS) if (bin_index == i).sum() >= FEWEST]
    x = (edges[1:] + edges[:-1])[full] / 2
    lines = np.array([np.percentile(value[bin_index == i], PERCENT) for i in full]).reshape(-1, len(PERCENT))
    for percent, line in zip(PERCENT, lines.T, strict=True):
        style = {"ls": "-", "lw": 2.5} if percent == 50 else {"ls": "--", "lw": 1.8}
        label = f"{kind} median" if percent == 50 else f"{kind} 10, 90 %" if percent == 10 else None
        axes.plot(x, line, color="white", lw=style["lw"] + 2)
        axes.plot(x, line, color=DARK[kind], label=label, gid=f"{kind} {percent}", **style)


@styled
def beside(events: tuple[np.ndarray, np.ndarray], bands: dict[str, tuple], unit: str) -> Figure:
    """log10 cS2 against cS1 of observed events, over medians and 1 and 2 sigma lines of each kind.

    events: cS1 and cS2, (n,); bands: by kind cS1, cS2 and weights, (simulated,); unit: of the areas. The lines are
    quantiles in bins of cS1, 2.3, 16, 50, 84 and 97.7 %.
    """
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(events[0], np.log10(events[1]), ".", color="black", ms=4, label="observed", gid="events")
    for kind, (cs1, cs2, weights) in bands.items():
        edges = np.linspace(0, np.percentile(cs1, 99.5) if len(cs1) else 1.0, BAND_BINS + 1)
        place = np.digitize(cs1, edges) - 1
        full = [i for i in range(BAND_BINS) if (place == i).sum() >= FEWEST]
        lines = [weighted_quantiles(np.log10(cs2[place == i]), weights[place == i], tuple(SIGMAS)) for i in full]
        x, lines = (edges[1:] + edges[:-1])[full] / 2, np.array(lines).reshape(-1, len(SIGMAS))
        for (share, style), line in zip(SIGMAS.items(), lines.T, strict=True):
            name = {0.5: f"{kind} median", SIGMA_LOW[0]: f"{kind} 1 sigma", SIGMA_LOW[1]: f"{kind} 2 sigma"}.get(share)
            axes.plot(x, line, ls=style, lw=2, color=DARK[kind], label=name, gid=f"{kind} {share:g}")
    axes.set(xlabel=f"cS1 [{unit}]", ylabel=rf"$\log_{{10}}$(cS2 [{unit}])", xlim=(0, None))
    axes.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


@styled
def response(profiles: dict[str, dict[str, np.ndarray]], references: dict[str, dict[float, float]]) -> Figure:
    """Efficiency, CES resolution and mean CES over true energy, against true energy.

    `profiles` maps a kind to arrays (bins,): energy_keV, registered, selected, resolution, mean; `references`
    maps one of these to {true keV of ER: value}.
    """
    figure = Figure(figsize=(17, 5.5), layout="constrained")
    efficiency, resolution, mean = figure.subplots(1, 3)
    for kind, profile in profiles.items():
        x, colour = profile["energy_keV"], COLOURS[kind]
        efficiency.plot(x, profile["registered"], color=colour, lw=2, ls="--", label=f"{kind} registered")
        efficiency.plot(x, profile["selected"], color=colour, lw=2, label=f"{kind} and in the window")
        resolution.plot(x, profile["resolution"], color=colour, lw=2, label=kind)
        mean.plot(x, profile["mean"], color=colour, lw=2, label=kind)
    for axes, name in ((efficiency, "registered"), (resolution, "resolution")):
        points = references.get(name, {})
        if points:
            axes.plot(list(points), list(points.values()), "*", color="black", ms=11, label="reference, ER")
    efficiency.set(ylabel="efficiency", ylim=(0, 1.05))
    resolution.set(ylabel=r"CES $\sigma$ / mean", ylim=(0, None))
    mean.set(ylabel="mean CES / true energy", ylim=(0, None))
    mean.axhline(1, color="0.6", ls=":", lw=1)
    for axes in (efficiency, resolution, mean):
        axes.set(xscale="log", xlabel="true energy [keV]")
        plain_numbers(axes.xaxis)
    efficiency.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    resolution.legend(loc="upper right")
    mean.legend(loc="center right")
    return figure


@styled
def event(
    title: str,
    pulses: dict[str, tuple[np.ndarray, float]],
    hits: dict[str, tuple[np.ndarray, np.ndarray]],
    *,
    radius_cm: float,
    image: np.ndarray | None = None,
    arrays: dict[str, dict[str, np.ndarray]] | None = None,
) -> Figure:
    """One event (Fig. 4 of the semi-supervised paper): pulses and the composite image above, hit patterns below.

    `pulses` maps S1 and S2 to (samples,) in PE and the sample's width in ns; `hits` maps a pattern's name to the
    tubes' centres (n, 2) in cm and the charge (n,) in PE; `image` is (rows, columns, 3) uint8, left out if None;
    `arrays` maps S1 and S2 to what of their samples is the top and the bottom array's.
    """
    n_columns = max(len(pulses) + (image is not None), len(hits))
    figure = Figure(figsize=(6 * n_columns, 10.5), layout="constrained")
    places = figure.add_gridspec(2, n_columns)
    figure.suptitle(title, fontsize=17)
    for i, (name, (waveform, sample_ns)) in enumerate(pulses.items()):
        _waveform(figure.add_subplot(places[0, i]), name, waveform, sample_ns, (arrays or {}).get(name, {}))
    colours = charge_scale(hits)
    patterns = [figure.add_subplot(places[1, i]) for i in range(len(hits))]
    for axes, (name, (centres_cm, charge)) in zip(patterns, hits.items(), strict=True):
        hit_pattern(axes, centres_cm, charge, colours, radius_cm)
        axes.set_title(name)
    figure.colorbar(colours, ax=patterns, label="charge [PE]", shrink=0.8)
    if image is not None:
        _image(figure.add_subplot(places[0, len(pulses)]), image)
    return figure


def _waveform(axes: Axes, name: str, waveform: np.ndarray, sample_ns: float, of_array: dict[str, np.ndarray]) -> None:
    first, last = _extent(waveform)
    unit, per_ns = (r"$\mu$s", 1e-3) if (last - first) * sample_ns > 1000 else ("ns", 1.0)
    edges = np.arange(first, last + 1) * sample_ns * per_ns
    axes.stairs(waveform[first:last], edges, color="black", lw=1.2, label="sum")
    for array, part in of_array.items():
        axes.stairs(part[first:last], edges, color=ARRAY_COLOURS[array], lw=1.2, label=f"{array} array")
    if of_array:
        axes.legend()
    axes.set(xlabel=f"time [{unit}]", ylabel=f"{name} [PE / {sample_ns:g} ns]", xlim=(edges[0], edges[-1]))
    axes.set_title(f"{name}: {waveform.sum():.0f} PE")


def _extent(waveform: np.ndarray) -> tuple[int, int]:
    """Samples from a little before the pulse to a little after it; all of them without a pulse."""
    used = np.flatnonzero(waveform > 0)
    if len(used) == 0:
        return 0, len(waveform)
    margin = max(len(used) // 10, 5)
    return max(used[0] - margin, 0), min(used[-1] + 1 + margin, len(waveform))


def _image(axes: Axes, image: np.ndarray) -> None:
    axes.imshow(image, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.set_title("composite image")


def _row(figure: Figure, panels: dict) -> np.ndarray:
    return figure.subplots(1, len(panels), squeeze=False)[0]
