"""Reading CSV files: exact numbers, and never a row that is skipped or guessed."""

# pyarrow ships no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.model.errors import DataError


def read_csv(path: Path) -> Any:
    """Return the pyarrow Table of a `.csv` or `.csv.gz` file with a line of names on top.

    A column with a value that is no number comes as text, so that the complaint can name the row.

    Raises:
        DataError: If the file is empty, no CSV, or its rows differ in length.
    """
    # pyarrow, because pandas' default parser is off by an ulp in some prices; and pyarrow takes the
    # type of a column from all of its rows.
    import pyarrow as pa
    from pyarrow import csv

    try:
        return csv.read_csv(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable CSV file: {error}") from error
