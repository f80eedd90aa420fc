"""Finished parts in a folder or a bucket, the ledger that knows them, and what lies beside them. Knows no Ray."""
