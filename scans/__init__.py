"""Studies as TOML: each opens with its question, the command, the cost and the expected answer."""
