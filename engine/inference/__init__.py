"""From scored events to p-values. Knows neither Ray nor torch."""
