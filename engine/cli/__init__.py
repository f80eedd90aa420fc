"""The command line: thin commands over public functions, one clear line for a mistake."""
