"""What the exposure for discovery asks of a search: a power of one half at three sigma (T3)."""

P_THREE_SIGMA = 1.35e-3
POWER = 0.5
