"""A finished scan in the formats of other tools: a file is a format, and `recoilscan export --as NAME` takes its name.

Contract: `files(outcome, name) -> {file name: bytes}`, from what is stored alone, the same bytes each time; `name` is
what a user calls the study. Raises BadInput where a library that it needs is not installed, or the scan has nothing of
what it holds.
"""
