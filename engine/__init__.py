"""recoilscan's engine: from a study to a table of median p-values. `engine.scan(study)` runs the whole path."""


def __getattr__(name: str):
    # Resolved on first use: importing the package must not start Ray's import or load torch.
    if name == "scan":
        from engine import environment

        environment.prepare()
        from engine.report.scan import scan

        return scan
    raise AttributeError(f"module 'engine' has no attribute {name!r}")
