"""The cold tier: raw rows of sealed days as Parquet, in a folder or an object store.

A file is written under a name of its own, never changed, and counts once the database names it: a
day is one file, or a few while an import brings it. Row groups are hours: a bucket reads one.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carbon.errors import CarbonError, InvalidInput
from carbon.storage.interval_columns import COLUMNS, END, ENERGY, METER, NOTHING, Ints

if TYPE_CHECKING:
    import pyarrow as pa

#: Narrow where the database is: an hour of 10 s readings takes some 3 bytes a row.
_TYPES = ("int64", "int32", "int32", "int32", "int64", "int8")
#: Rows of small files that are kept in memory (48 bytes each): an import's day is looked at and
#: rolled up again and again.
_KEPT_ROWS = 500_000
#: How hard zstd tries: for files that last, and for those that are joined to others soon.
LASTING, SOON_JOINED = 9, 1


@dataclass(frozen=True, slots=True)
class ColdFile:
    """What a file holds, by which it is verified."""

    name: str
    rows: int
    bytes: int
    energy_mj: int


class ColdStore:
    """A folder, `s3://bucket/prefix` (also gs, abfs), or any address that fsspec knows.

    Raises InvalidInput(`cold_store`) for an address that cannot be used.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._files, self._root = _opened(address)
        self._kept: OrderedDict[str, Ints] = OrderedDict()
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def write(self, day_ms: int, hours: Iterable[Ints], effort: int = LASTING) -> ColdFile:
        """Writes rows of a day, in parts in order of time; on the disk, and read again in full,
        before it is answered.

        Raises CarbonError(`cold_not_written`) where what lies there is not what was given.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        day = f"{datetime.fromtimestamp(day_ms / 1000, UTC):%Y-%m-%d}"
        name = f"day={day}/{secrets.token_hex(8)}.parquet"
        path = f"{self._root}/{name}"
        self._files.create_dir(f"{self._root}/day={day}", recursive=True)
        schema = pa.schema(list(zip(COLUMNS, map(pa.type_for_alias, _TYPES), strict=True)))
        expected = _Sums()
        with (
            self._files.open_output_stream(path) as stream,
            pq.ParquetWriter(
                stream,
                schema,
                compression="zstd",
                compression_level=effort,
                use_dictionary=False,
                column_encoding=dict.fromkeys(COLUMNS[:-1], "DELTA_BINARY_PACKED"),
            ) as writer,
        ):
            for columns in hours:
                if columns.size:
                    writer.write_table(_table(columns, schema))
                    expected.add(columns)
        if "://" not in self.address:
            _sync(Path(path))
        written = _Sums()
        with self._files.open_input_file(path) as source:
            file = pq.ParquetFile(source)
            for group in range(file.num_row_groups):
                written.add(_columns(file.read_row_group(group)))
        if written != expected:
            self.remove(name)
            raise CarbonError(
                "cold_not_written", f"{name} in {self.address} holds other rows than were written"
            )
        size = self._files.get_file_info(path).size
        return ColdFile(name, expected.rows, size, expected.sums[ENERGY])

    def read(
        self,
        names: Sequence[str],
        start_ms: int,
        end_ms: int,
        meters: Collection[int] | None = None,
    ) -> Ints:
        """(6, n) of the rows of a day's files that end in (start, end], of these meters or of all.

        Raises CarbonError(`cold_not_readable`).
        """
        parts = [NOTHING]
        for name in names:
            if self.rows(name) <= _KEPT_ROWS:
                parts.append(_some(self._whole(name), start_ms, end_ms, meters))
            else:
                parts.append(self._picked(name, start_ms, end_ms, meters))
        return np.concatenate(parts, axis=1)

    def rows(self, name: str) -> int:
        """How many a file holds. Raises CarbonError(`cold_not_readable`)."""
        import pyarrow.parquet as pq

        if name not in self._counts:
            with self._being_read(name) as path, self._files.open_input_file(path) as source:
                self._counts[name] = pq.ParquetFile(source).metadata.num_rows
        return self._counts[name]

    def _whole(self, name: str) -> Ints:
        import pyarrow.parquet as pq

        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        with self._being_read(name) as path:
            found = _columns(pq.read_table(path, filesystem=self._files))
        with self._lock:
            self._kept[name] = found
            while sum(kept.shape[1] for kept in self._kept.values()) > _KEPT_ROWS:
                self._kept.popitem(last=False)
        return found

    def _picked(
        self, name: str, start_ms: int, end_ms: int, meters: Collection[int] | None
    ) -> Ints:
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        rows = (pc.field("end_ms") > start_ms) & (pc.field("end_ms") <= end_ms)
        if meters is not None:
            rows &= pc.field("meter_id").isin(sorted(meters))
        with self._being_read(name) as path:
            return _columns(pq.read_table(path, filesystem=self._files, filters=rows))

    @contextmanager
    def _being_read(self, name: str) -> Iterator[str]:
        """Its path. What fails meanwhile is told as CarbonError(`cold_not_readable`)."""
        try:
            yield f"{self._root}/{name}"
        except (OSError, ValueError) as error:
            raise CarbonError(
                "cold_not_readable",
                f"cannot read {name} in {self.address}: {error}; bring the cold store back",
            ) from error

    def remove(self, name: str) -> None:
        """One that is gone already is no error."""
        with suppress(FileNotFoundError):
            self._files.delete_file(f"{self._root}/{name}")
        with self._lock:
            self._kept.pop(name, None)
            self._counts.pop(name, None)


def _opened(address: str) -> tuple[Any, str]:
    """(a file system of pyarrow, the root in it)"""
    from pyarrow import fs

    if "://" not in address:
        Path(address).mkdir(parents=True, exist_ok=True)
        return fs.LocalFileSystem(), str(Path(address).absolute())
    try:
        files, root = fs.FileSystem.from_uri(address)
    except (ValueError, NotImplementedError, OSError) as error:
        try:
            import fsspec

            known, root = fsspec.core.url_to_fs(address)
            files = fs.PyFileSystem(fs.FSSpecHandler(known))
        except (ImportError, ValueError) as other:
            raise InvalidInput(
                "cold_store", f"cannot use the cold store {address}: {error}; {other}"
            ) from error
    return files, root.rstrip("/")


@dataclass
class _Sums:
    """Rows, and the sum of each column: what is compared."""

    rows: int = 0
    sums: list[int] = field(default_factory=lambda: [0] * len(COLUMNS))

    def add(self, columns: Ints) -> None:
        self.rows += columns.shape[1]
        self.sums = [so_far + int(c.sum()) for so_far, c in zip(self.sums, columns, strict=True)]


def _table(columns: Ints, schema: pa.Schema) -> pa.Table:
    """By meter, then time: neighbours differ little, which is what makes them small."""
    import pyarrow as pa

    columns = columns[:, np.lexsort((columns[END], columns[METER]))]
    arrays = [pa.array(c, type=field.type) for c, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _some(columns: Ints, start_ms: int, end_ms: int, meters: Collection[int] | None) -> Ints:
    wanted = (columns[END] > start_ms) & (columns[END] <= end_ms)
    if meters is not None:
        wanted[wanted] = np.isin(columns[METER, wanted], np.fromiter(meters, dtype=np.int64))
    return columns[:, wanted]


def _sync(file: Path) -> None:
    """A file, and its name in the folder."""
    for path in (file, file.parent, file.parent.parent):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _columns(table: pa.Table) -> Ints:
    if not table.num_rows:
        return NOTHING
    return np.stack([table[name].to_numpy().astype(np.int64) for name in COLUMNS])
