"""Pulses of listed events: what strax keeps of an event, as the fields of a readout that networks are made to see.

A summed waveform is in PE per sample, whose width in ns stands beside it; an area per channel is in PE, first of the
top array's tubes, then of the bottom one's, each array in the order of `TPC.pmt_positions_cm`.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import BadInput
from engine.physics.detectors import TPC

NAMES = {
    "s1_waveform": ("s1_waveform", "s1_data"), "s2_waveform": ("s2_waveform", "s2_data"),
    "s1_sample_ns": ("s1_sample_ns", "s1_dt"), "s2_sample_ns": ("s2_sample_ns", "s2_dt"),
    "s1_area_per_channel": ("s1_area_per_channel",), "s2_area_per_channel": ("s2_area_per_channel",),
}  # fmt: skip
MADE_OF = {  # fields of a `Readout`: columns of a list
    "s1_waveform": ("s1_waveform", "s1_sample_ns"), "s2_waveform": ("s2_waveform", "s2_sample_ns"),
    "s1_top": ("s1_area_per_channel",), "s1_bottom": ("s1_area_per_channel",),
    "s2_top": ("s2_area_per_channel",), "s2_bottom": ("s2_area_per_channel",),
}  # fmt: skip


def is_list(kind: pa.DataType) -> bool:
    """Whether a column holds several numbers a row."""
    a_list = pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind)
    return a_list and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type))


def rows(column: pa.ChunkedArray) -> np.ndarray:
    """(n, longest) float32 of a column of lists without nulls; zeros behind the end of a shorter one."""
    lists = pa.concat_arrays(column.chunks)
    lengths = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
    flat = lists.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    made = np.zeros((len(lengths), int(lengths.max(initial=0))), np.float32)
    made[np.arange(made.shape[1]) < lengths[:, None]] = flat
    return made


def sampled(waveforms: np.ndarray, sample_ns: np.ndarray, wanted_ns: float, n_samples: int) -> np.ndarray:
    """(n, n_samples) float32: the charge of waveforms (n, length), each with its width (n,), in samples of another.

    Of the wanted width they are what they were. Else a sample's charge is taken to be even over its width, and none is
    lost but what lies behind the last sample, as behind the end of a simulated one.
    """
    made = np.zeros((len(waveforms), n_samples), np.float32)
    same, common = sample_ns == wanted_ns, min(n_samples, waveforms.shape[1])
    made[same, :common] = waveforms[same, :common]
    edges = wanted_ns * np.arange(n_samples + 1)
    for event in np.flatnonzero(~same):
        charge = np.concatenate([[0.0], np.cumsum(waveforms[event], dtype=np.float64)])
        made[event] = np.diff(np.interp(edges, sample_ns[event] * np.arange(len(charge)), charge))
    return made


def arrays(path: object, tpc: TPC, name: str, areas: np.ndarray) -> dict[str, np.ndarray]:
    """Areas per channel (n, channels) by field: `s2_area_per_channel` is s2_top and s2_bottom. Raises BadInput."""
    top, bottom = (len(tpc.pmt_positions_cm(array)) for array in ("top", "bottom"))
    if areas.shape[1] != top + bottom:
        raise BadInput(f"{path}: {name} has {areas.shape[1]} channels; this detector has {top + bottom}, {top} of the "
                       f"top and then {bottom} of the bottom array")  # fmt: skip
    pulse = name[:2]
    return {f"{pulse}_top": areas[:, :top], f"{pulse}_bottom": areas[:, top:]}
