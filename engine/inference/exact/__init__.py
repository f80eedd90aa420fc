"""Exact laws of the test statistics: no toys, no Gaussian extrapolation."""
