"""From a recoil to what a two-phase xenon TPC records of it. Knows neither Ray nor torch."""
