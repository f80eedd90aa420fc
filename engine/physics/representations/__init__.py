"""Representations: what of a readout a network sees. A file is a choice, independent of the detector.

Contract: `features(readout, tpc) -> (n, length)` of an unsigned integer type, or float32 where whole numbers would
lose something, and `sections(tpc) -> dict` that names the consecutive stretches of the vector with their lengths.
`COLUMNS`: the fields of a readout that it looks at. A list of events that has them (`engine.physics.event_list`) can be
put to models that read it; without `COLUMNS` none can.
With `PULSES = False` it looks at neither waveforms nor hits, which are then not made: an event costs a tenth. With
`CHANNEL_TIMES = True` it looks at times of single tubes, which else are not made: an event costs three times as much.
"""
