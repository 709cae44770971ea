"""Reading CSV files: exact numbers, and never a row that is skipped or guessed."""

# pyarrow ships no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.model.errors import DataError

_BLOCK_BYTES = 16 << 20


def read_csv(path: Path) -> Any:
    """Return the pyarrow Table of a `.csv` or `.csv.gz` file with a line of names on top.

    A column that does not read as what its first rows looked like comes as text, so that the
    complaint about it can name the row.

    Raises:
        DataError: If the file is empty, no CSV, or its rows differ in length.
    """
    # pyarrow, because pandas' default parser is off by an ulp in some prices.
    import pyarrow as pa
    from pyarrow import csv

    read = csv.ReadOptions(block_size=_BLOCK_BYTES)
    try:
        return csv.read_csv(path, read_options=read)
    except pa.ArrowInvalid as error:
        if "conversion error" not in str(error):
            raise DataError(f"{path}: not a readable CSV file: {error}") from error
    except OSError as error:
        raise DataError(f"{path}: not a readable CSV file: {error}") from error
    with csv.open_csv(path, read_options=read) as reader:
        names = reader.schema.names
    as_text = csv.ConvertOptions(column_types={name: pa.string() for name in names})
    return csv.read_csv(path, read_options=read, convert_options=as_text)
