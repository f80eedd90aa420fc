"""A study's physics report as files: `report.md`, one page, and the figures it shows."""

import math

import numpy as np

from engine import lineage, plots
from engine.errors import unknown
from engine.inference.pools import KINDS
from engine.physics import proposals
from engine.physics.detectors import Readout
from engine.physics.event_list import EventList
from engine.physics.events import simulate
from engine.plan.plan import Plan
from engine.plots import physics as figures
from engine.plots._rows import number
from engine.report import energy_page, event_display, list_bands, physics_report
from engine.report.markdown import table
from engine.report.physics_report import Component, ComponentRate, LeakedShare, ThrownEvents
from engine.study import Study

SPECTRUM_BINS = 60
DISPLAY_TRIES = 64


def files(
    study: Study, n_events: int, format: str = "png", seen: EventList | None = None, unblind: bool = False,
    energy_of: str | None = None,
) -> dict[str, bytes]:  # fmt: skip
    """`report.md` and the figures by file name, from `n_events` of each kind. Raises BadInput for the format.

    seen: selected events of a list, which are set beside the bands, those of the signal region if it is unblinded.
    energy_of: the kind of recoil whose energies a flow is fitted to.
    """
    if format not in plots.METADATA:
        raise unknown("figure format", format, plots.METADATA)
    plan = Plan(study)
    samples = {kind: physics_report.throw(plan, kind, n_events) for kind in KINDS}
    backgrounds, signal = physics_report.components(study), physics_report.benchmark(study)
    rows = physics_report.rates(plan, backgrounds, signal, physics_report.pool(list(samples.values())))
    leaks = physics_report.leakages(samples["ER"], samples["NR"])
    drawn = {f"{name}.{format}": plots.render(figure, format)
             for name, figure in _figures(plan, samples, backgrounds, signal)}  # fmt: skip
    text = markdown(plan, rows, leaks, physics_report.lines(plan), n_events, list(drawn))
    sections, more = [text], {}
    if seen is not None:
        of = list_bands.beside(study, seen, n_events, unblind)
        drawn[f"list.{format}"] = plots.render(figures.beside(of.events[:2], of.bands, of.unit), format)
        sections.append("\n\n".join(["## Bands beside the list", list_bands.markdown(of), list_bands.note(of),
                                     f"![list](list.{format})\n"]))  # fmt: skip
        more["list.csv"] = list_bands.as_csv(of)
    if energy_of is not None:
        words, drawn[f"energy.{format}"] = energy_page.section(plan, energy_of, n_events, format)
        sections.append(f"{words}\n")
    return {"report.md": "\n".join(sections).encode()} | more | drawn


def _figures(plan: Plan, samples: dict[str, ThrownEvents], backgrounds: list[Component], signal: Component):
    yield "spectra", figures.spectra({kind: _panel(plan, samples[kind], backgrounds, signal) for kind in KINDS})
    yield "bands", figures.bands({kind: _band(samples[kind]) for kind in KINDS})
    references = _references(plan.study)
    profiles = {kind: physics_report.response(samples[kind]) for kind in KINDS}
    yield "response", figures.response(profiles, references)
    for kind in KINDS:
        yield f"event_{kind}", _event(plan, kind)


def _references(study: Study) -> dict[str, dict[float, float]]:
    """What holds for this detector: {true keV of ER or NR acceptance: value} by name, without entries if nothing."""
    known = {
        "registered": physics_report.REFERENCE_EFFICIENCY, "resolution": physics_report.REFERENCE_RESOLUTION,
        "leakage": physics_report.REFERENCE_LEAKAGE,
    }  # fmt: skip
    return known if physics_report.is_reference_detector(study) else dict.fromkeys(known, {})


def _panel(plan: Plan, sample: ThrownEvents, backgrounds: list[Component], signal: Component) -> tuple:
    edges = np.linspace(*sample.range_keV, SPECTRUM_BINS + 1)
    lines = {c.label: _curves(sample, c, edges) for c in backgrounds if c.kind == sample.kind}
    benchmark = plan.study.benchmark_signal
    mass = "" if benchmark.m_chi_GeV is None else f"{number(benchmark.m_chi_GeV)} GeV, "
    label = f"{signal.label} {mass}{plan.study.signal.size.of(number(benchmark.value))}"
    signals = {label: _curves(sample, signal, edges)} if signal.kind == sample.kind else {}
    return (edges[1:] + edges[:-1]) / 2, lines, signals


def _curves(sample: ThrownEvents, component: Component, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(bins,) events / (t y keV) of a component at the bins' centres, and of those that pass the selection."""
    rate = component.rate((edges[1:] + edges[:-1]) / 2)
    return rate, sample.fraction(component.rate(sample.energy_keV) * sample.kept, edges)


def _band(sample: ThrownEvents) -> tuple[np.ndarray, np.ndarray]:
    return sample.columns["cs1_pe"][sample.seen], physics_report.discriminator(sample)


def display(plan: Plan, kind: str) -> tuple[dict[str, float], Readout]:
    """Truth and readout, arrays of one event each, of the registered event nearest to the middle of the ER window."""
    study = plan.study
    key = ("report display", study.seed, kind)
    energy = proposals.draw("uniform", *plan.energy_range("pool", kind), DISPLAY_TRIES, lineage.stream("energy", *key))
    columns, readout = simulate(study.detector.constants, kind, energy, key)
    distance = np.abs(columns["ces_keVee"] - np.mean(physics_report.before_range_keV(plan, "ER")))
    i = int(np.argmin(np.where(columns["registered"], distance, np.inf)))
    truth = {name: float(values[i]) for name, values in (columns | {"energy_keV": energy}).items()}
    return truth, event_display.of_one(readout, i)


def _event(plan: Plan, kind: str):
    tpc = plan.study.detector.constants
    truth, readout = display(plan, kind)
    position = f"({truth['x_cm']:.0f}, {truth['y_cm']:.0f}, {truth['z_cm']:.0f}) cm"
    title = f"{kind}, {truth['energy_keV']:.1f} keV, CES {truth['ces_keVee']:.1f} keVee, at (x, y, z) = {position}"
    return event_display.display(title, readout, tpc, is_simulated=True)


def markdown(
    plan: Plan,
    rows: list[ComponentRate],
    leaks: list[LeakedShare],
    lines: list[dict[str, float]],
    n_events: int,
    shown: list[str],
) -> str:
    """The page: tables of rates, leakage and ER response, then the figures `shown` by file name."""
    known = _references(plan.study)
    return "\n\n".join([
        f"# Physics of the detector {plan.study.detector.name}",
        _setting(plan, n_events),
        "## Rates", _rates(plan, rows), "\n".join(f"- {note}" for note in physics_report.notes(plan.study)), RATES_NOTE,
        "## Discrimination", _leakage(leaks, known["leakage"]), LEAKAGE_NOTE,
        "## Response to electron recoils", _response(lines, known), RESPONSE_NOTE,
        "## Figures", *(f"![{name.rpartition('.')[0]}]({name})" for name in shown),
    ]) + "\n"  # fmt: skip


RATES_NOTE = (
    "Errors are those of this simulation alone; the pull adds the rounding of the reference, not its own statistics. "
    "A 0 without an error: none of the events thrown was selected. "
    "Relative uncertainty: 1 sigma of the rate, as the study assumes it. The reference is a public reference "
    "computation, from public inputs with a fast simulation; the papers' own simulation is private. It is shown for "
    "components with default options in the default detector and selection. Every component is taken as an ordinary "
    "recoil of its kind; event tables are not listed, their rates are the user's."
)
LEAKAGE_NOTE = (
    "Events uniform in true energy, a line in log10(cS2/cS1) per bin of CES from 1.4 to 11.6 keVee; 68 % binomial "
    "interval. Reported, not tuned."
)


RESPONSE_NOTE = (
    f"{physics_report.LINE_EVENTS} events at each energy. CES of all of them: the coincidence would keep the upward "
    "fluctuations of a small S1. Errors: 2 % of sigma / mean, at most 0.01 of the share registered."
)


def _setting(plan: Plan, n_events: int) -> str:
    windows = "; ".join(f"{kind}: {_words(plan.window(kind))}" for kind in KINDS)
    thrown = ", ".join("{} {:g}-{:g} keV".format(kind, *plan.energy_range("pool", kind)) for kind in KINDS)
    tpc = plan.study.detector.constants
    return (
        f"{n_events} events of each kind, uniform in true energy ({thrown}); seed {plan.study.seed}. Selection: "
        f"{tpc.s1_coincidence} photons within {tpc.s1_coincidence_ns:g} ns, and {windows}."
    )


def _words(window: dict[str, tuple[float, float]]) -> str:
    formats = {"ces_keVee": "CES {:g}-{:g} keVee", "energy_keV": "true energy {:g}-{:g} keV"}
    return ", ".join(formats.get(name, name.replace("_", " {:g}-{:g} ")).format(*ends) for name, ends in window.items())


def _rates(plan: Plan, rows: list[ComponentRate]) -> str:
    spans = "; ".join("{} {:g}-{:g} keV".format(kind, *physics_report.before_range_keV(plan, kind)) for kind in KINDS)
    exposure_ty = physics_report.EXPOSURE_TY
    head = (
        "component", "kind", f"before cuts per t y ({spans})", "selected per t y",
        f"selected in {exposure_ty:g} t y", "relative uncertainty", "effective events", "reference", "ratio", "pull",
    )  # fmt: skip
    body = []
    for row in rows:
        reference = None if row.reference is None else row.reference[0]
        body.append((
            row.name, row.kind, _number(row.before_per_ty), _measured(row.per_ty, row.error_per_ty),
            _measured(row.per_ty * exposure_ty, row.error_per_ty * exposure_ty), _number(row.uncertainty, ".1%"),
            f"{row.n_effective:.0f}", _number(reference), _number(row.ratio, ".3f"), _number(row.pull, "+.1f"),
        ))  # fmt: skip
    return table(head, body)


def _leakage(leaks: list[LeakedShare], known: dict[float, float]) -> str:
    head = ("NR acceptance", "ER leakage", "68 % interval", "leaked", "reference")
    body = []
    for leak in leaks:
        share, low, high = leak.interval
        reference = _number(known.get(leak.acceptance), ".1e")
        interval, counts = f"{low:.1e} to {high:.1e}", f"{leak.n_leaked} of {leak.n_er}"
        body.append((f"{leak.acceptance:.0%}", f"{share:.1e}", interval, counts, reference))
    return table(head, body)


def _response(lines: list[dict[str, float]], known: dict[str, dict[float, float]]) -> str:
    body = []
    for line in lines:
        energy_keV = line["energy_keV"]
        body.append((
            f"{energy_keV:g}", f"{line['registered']:.3f}", _number(known["registered"].get(energy_keV), ".2f"),
            f"{line['resolution']:.3f}", _number(known["resolution"].get(energy_keV), ".3f"), f"{line['bias']:+.3f}",
        ))  # fmt: skip
    head = ("true energy [keV]", "registered", "reference", "CES sigma / mean", "reference", "CES bias")
    return table(head, body)


def _measured(value: float, error: float) -> str:
    """Both to the second digit of the error; a plain 0 where no event was selected."""
    if error == 0:
        return f"{value:.4g}"
    digits = max(1 - math.floor(math.log10(error)), 0)
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def _number(value: float | None, format: str = ".4g") -> str:
    return "-" if value is None else f"{value:{format}}"
