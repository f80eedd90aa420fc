"""What a scan is asked beyond its grid: exposure for three sigma, limits, systematics, an audit of its pools."""
