"""The small studies that many tests read."""

from pathlib import Path

STUDIES = Path(__file__).parents[1] / "studies"
TINY, PAIRS = STUDIES / "tiny.toml", STUDIES / "pairs.toml"
