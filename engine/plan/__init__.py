"""A study becomes the digests of its items: which there are, what each rests on, and what they would cost."""
