"""What a study's work costs on this machine, measured on a small piece of each kind; for an estimate before a scan."""
