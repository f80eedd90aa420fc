"""The section of a physics report on estimated energies: words, tables and the figure."""

from engine import plots
from engine.plan.plan import Plan
from engine.plots import energy as figures
from engine.plots.physics import UNITS
from engine.report import energy
from engine.report.energy import Judgement
from engine.report.markdown import table


def section(plan: Plan, kind: str, n_events: int, format: str) -> tuple[str, bytes]:
    """Markdown and rendered figure of energies of this kind, for a report with so many events of each."""
    judged = energy.judge(plan, kind, energy.PER_KIND * n_events)
    rows = energy.rows(judged)
    text = [
        "## Energy by a flow", _setting(judged), _rows(rows), ROWS_NOTE,
        "### Coverage", _coverage(judged), COVERAGE_NOTE, _ranks(judged), f"![energy](energy.{format})",
    ]  # fmt: skip
    levels = {f"coverage_{level * 100:.0f}": level for level in energy.LEVELS}
    return "\n\n".join(text), plots.render(figures.energy(rows, levels, UNITS[kind]), format)


ROWS_NOTE = (
    "CES: with the spread of CES / E of the calibrating events at E = CES. flow: mean and central credible intervals "
    "of the posterior. WALDO: confidence intervals out of its mean and spread. Half-width: median of half the 68 % "
    "interval over the true energy. Errors of bias and resolution: of the mean, and of a Gaussian's spread; of a "
    "coverage c: sqrt(c (1 - c) / n) at the level that it is to have. No fit has seen these events."
)
COVERAGE_NOTE = (
    "Largest difference between a coverage and its level among the bins; and chi2 of the coverage against its level "
    "over cells of true energy and drift time, which is about their number, and some more for WALDO, whose quantiles "
    "have errors of as many events as judge them. A credible interval holds the truth as often as it says for events "
    "of one estimate, not of one true energy: at threshold, where only what fluctuates up is registered, it need not."
)


def _setting(judged: Judgement) -> str:
    low, high = judged.prior_keV
    return (
        f"p(E | cS1, cS2, drift time) by a masked autoregressive flow with splines; prior flat in log E over "
        f"{low:.3g}-{high:.3g} keV, {judged.kind}, as thrown. Fitted to {judged.n_fitted} registered events, "
        f"calibrated with {judged.n_calibrated}, judged by {len(judged.events.energy_keV)}, {judged.range_keV[0]:g}-"
        f"{judged.range_keV[1]:g} keV. Coincidence here is a number of photons, whenever they are; no further cuts."
    )


def _rows(rows: list[dict]) -> str:
    head = "true energy [keV]", "events", "method", "bias", "resolution", "half-width", "coverage 68 %", "coverage 95 %"
    body = []
    for row in rows:
        bin_of = f"{row['low_keV']:.3g}-{row['high_keV']:.3g}", str(row["n"]), row["method"]
        shown = [f"{row[name]:{form}} ± {row[f'{name}_error']:.4f}" for name, form in
                 (("bias", "+.4f"), ("resolution", ".4f"))]  # fmt: skip
        shares = [f"{row[name]:.3f} ± {row[f'{name}_error']:.3f}" for name in ("coverage_68", "coverage_95")]
        body.append((*bin_of, *shown, f"{row['half_width']:.4f}", *shares))
    return table(head, body)


def _ranks(judged: Judgement) -> str:
    chi2, p = judged.rank_chi2
    return (
        f"Simulation-based calibration: the rank of the truth in its posterior, over all that was thrown and "
        f"registered, in {energy.N_RANKS} cells: chi2 = {chi2:.1f} for {energy.N_RANKS - 1}, p = {max(p, 1e-300):.2g}."
    )


def _coverage(judged: Judgement) -> str:
    head = "method", *(f"{level} %, in bins of {of}" for of in ("true energy", "the estimate") for level in (68, 95))
    head += "cells", "events in the smallest", "chi2 of 68 %", "chi2 of 95 %"
    body = []
    for method, estimate in judged.estimates.items():
        pairs = [pair for by in (judged.events.energy_keV, estimate.value_keV)
                 for pair in energy.largest_off(judged, method, by)]  # fmt: skip
        of = energy.grid(judged, method)
        cells = str(of["cells"]), str(of["fewest"]), *(f"{of[f'coverage_{level}']:.0f}" for level in (68, 95))
        body.append((method, *(f"{off:+.3f} ± {error:.3f}" for off, error in pairs), *cells))
    return table(head, body)
