"""The merged table of a study: every row of every cell beside its cell's config, as dicts, polars and Parquet.

Columns: cell (hash), function, version, status, row (index within the cell), config.NAME, and the rows' own fields;
nested dicts become dotted names. A field that some rows lack is null there. A column has one type: integers beside
floats become floats, lists of numbers stay lists, and any other mixture becomes text (JSON for what is not text).
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from analysis.cell_files import CellRecord
from analysis.cells import Row
from analysis.study import read_study
from envs import storage

INT64 = range(-(2**63), 2**63)


def read_rows(folder: str | Path, cells: Collection[str] | None = None) -> list[Row]:
    """Rows of a study's folder as flat dicts, by function, then cell hash, then position in the cell.

    Args:
        folder: the study's folder.
        cells: hashes of the cells that are read; None reads all.

    Raises:
        UserError: the file of one of them is damaged.
    """
    records = sorted(read_study(folder, cells), key=lambda record: (record.function, record.hash))
    return [row for record in records for row in _flat_rows(record)]


def study_table(folder: str | Path) -> pl.DataFrame:
    """The rows of a study as one table, heterogeneous rows included; no rows give an empty table."""
    return to_table(read_rows(folder))


def export_parquet(
    folder: str | Path, path: str | Path | None = None, *, cells: Collection[str] | None = None
) -> Path:  # fmt: skip
    """Write the rows of `read_rows` as Parquet, atomically, and return where (default: rows.parquet in the folder)."""
    target = Path(folder) / "rows.parquet" if path is None else Path(path)
    storage.write_bytes(target, parquet_of(read_rows(folder, cells)))
    return target


def parquet_of(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Flat dicts that need not have the same fields or types, as the bytes of a Parquet file."""
    buffer = io.BytesIO()
    to_table(rows).write_parquet(buffer)
    return buffer.getvalue()


def to_table(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Make a table of flat dicts that need not have the same fields or types."""
    names = dict.fromkeys(name for row in rows for name in row)
    return pl.DataFrame([_column(name, [row.get(name) for row in rows]) for name in names])


def _flat_rows(record: CellRecord) -> Iterator[Row]:
    head = {"cell": record.hash, "function": record.function, "version": record.version, "status": record.status}
    config = dict(_flatten({"config": record.config}))
    for index, row in enumerate(record.rows):
        yield {**head, "row": index, **config, **dict(_flatten(row))}


def _flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, dict) and item:
            yield from _flatten(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item


def _column(name: str, values: list[Any]) -> pl.Series:
    present = [value for value in values if value is not None]
    kind = _scalar_type(present) or _list_type(present)
    if kind is None:
        return pl.Series(name, [_text(value) for value in values], dtype=pl.String)
    return pl.Series(name, values, dtype=kind, strict=False)


def _scalar_type(values: list[Any]) -> Any:
    """The polars type that holds all values without loss, or None."""
    kinds = {type(value) for value in values}
    if kinds <= {bool}:
        return pl.Boolean if kinds else pl.Null
    if kinds <= {int} and all(value in INT64 for value in values):
        return pl.Int64
    if kinds <= {int, float} and float in kinds:
        return pl.Float64
    return pl.String if kinds == {str} else None


def _list_type(values: list[Any]) -> Any:
    if not all(isinstance(value, list) for value in values):
        return None
    inner = _scalar_type([item for value in values for item in value if item is not None])
    return None if inner is None else pl.List(pl.Float64 if inner == pl.Null else inner)


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, sort_keys=True)
