"""Columns of many rows, filled part by part: what they take is their bytes, and no object for each row."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


@dataclass
class Column:
    """Values (n,) of which some are known; of strings, places in the order of `words`."""

    kind: pa.DataType
    values: np.ndarray
    known: np.ndarray
    words: dict[str, int] = field(default_factory=dict)

    def put(self, rows: np.ndarray, values: pa.ChunkedArray) -> None:
        """Sets these rows to what was found, be it null; `rows` are distinct numbers of rows."""
        self.known[rows] = values.is_valid().to_numpy()
        self.values[rows] = self._coded(values) if self.kind == pa.string() else _filled(values)

    def put_value(self, rows: np.ndarray, value: float) -> None:
        """Sets these rows (a mask) to one number."""
        self.known[rows], self.values[rows] = True, value

    def put_from(self, other: "Column", rows: np.ndarray) -> None:
        """Sets these rows (a mask) to what the same rows of another column are."""
        self.known[rows], self.values[rows] = other.known[rows], other.values[rows]
        if self.kind == pa.string():
            codes = np.array([self._code(word) for word in other.words] or [0], np.int32)
            self.values[rows] = codes[other.values[rows]]

    def is_word(self, word: str) -> np.ndarray:
        """(n,) whether a row is known, and this word."""
        return self.known & (self.values == self.words.get(word, -1))

    def arrow(self, order: np.ndarray) -> pa.Array:
        """The rows in an order, as one array of the column's kind."""
        values, mask = self.values[order], ~self.known[order]
        if self.kind != pa.string():
            return pa.array(values, self.kind, mask=mask)
        return pa.DictionaryArray.from_arrays(pa.array(values, mask=mask), pa.array(self.words, pa.string())).cast(
            pa.string()
        )

    def _code(self, word: str) -> int:
        return self.words.setdefault(word, len(self.words))

    def _coded(self, values: pa.ChunkedArray) -> np.ndarray:
        """Places of the words, 0 for null."""
        coded = values.combine_chunks().dictionary_encode()
        codes = np.array([self._code(word) for word in coded.dictionary.to_pylist()] or [0], np.int32)
        return codes[_filled(coded.indices)]


def _filled(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Numbers, with a zero for null, which `known` tells from one."""
    return pc.fill_null(values, pa.scalar(0, pa.int8()).cast(values.type)).to_numpy(zero_copy_only=False)


def empty(kind: pa.DataType, n_rows: int) -> Column:
    """A column of n_rows that are all null; of float64, int64, bool or string."""
    width = np.dtype(np.int32) if kind == pa.string() else np.dtype(kind.to_pandas_dtype())
    return Column(kind, np.zeros(n_rows, width), np.zeros(n_rows, bool))


def numbers(values: np.ndarray, known: np.ndarray) -> Column:
    """A column of float64 of which these are known."""
    return Column(pa.float64(), values, known)
