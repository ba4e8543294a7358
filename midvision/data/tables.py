"""Tables that people write: CSV files, read by column name."""

from __future__ import annotations

import csv
from pathlib import Path

from midvision.core.errors import DataError


def read_rows(table: Path) -> list[dict[str, str]]:
    """Rows of a CSV by column name; an error for a file that is empty or not text, or a line cut short."""
    try:
        with open(table, newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, skipinitialspace=True)
            rows = []
            for row in reader:
                if None in row or any(value is None for value in row.values()):
                    raise DataError(f"Line {reader.line_num} of {table} has not as many fields as the header.")
                rows.append({str(name).strip(): str(value).strip() for name, value in row.items()})
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"Table {table} cannot be read ({error}).", "A CSV with a header was expected.") from error
    if not rows:
        raise DataError(f"Table {table} has no rows.", "A CSV with a header and at least one row was expected.")
    return rows
