"""Representations: what of a readout a network sees. A file is a choice, independent of the detector.

Contract: `features(readout, tpc) -> (n, length)` of an unsigned integer type, or float32 where whole numbers would
lose something, and `sections(tpc) -> dict` that names the consecutive stretches of the vector with their lengths.
Where it has `COLUMNS`, these fields of a readout, one each, are its features, and a list of events may have them too.
With `PULSES = False` it looks at neither waveforms nor hits, which are then not made: an event costs a tenth.
"""
