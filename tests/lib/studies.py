"""The small studies that many tests read."""

from pathlib import Path

STUDIES = Path(__file__).parents[1] / "studies"
TINY, PAIRS = STUDIES / "tiny.toml", STUDIES / "pairs.toml"
LIGHT = ("grid.m_chi_GeV.values=[50]", "grid.exposure_ty.values=[20]", "toys.exact='none'", "limits.enabled=false")
"""Settings of the tiny study: a quarter of what a scan does beyond its scores, which stay as they are."""
