"""SQLite over the records of a results folder: a copy for speed and for queries, never the truth."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from midvision.results.record import record_paths

NAME = "index.sqlite"
VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    path TEXT PRIMARY KEY, stamp TEXT NOT NULL, body TEXT NOT NULL, status TEXT, run_hash TEXT, model TEXT,
    task TEXT, protocol TEXT, dataset TEXT, probe TEXT, seed INTEGER, main_metric TEXT, created_at TEXT);
CREATE TABLE IF NOT EXISTS metrics (
    path TEXT NOT NULL REFERENCES records(path) ON DELETE CASCADE, name TEXT NOT NULL, value REAL, ci_low REAL,
    ci_high REAL, n INTEGER, unit TEXT, higher_is_better INTEGER, PRIMARY KEY (path, name));
"""


def refresh(output: Path) -> list[tuple[Path, str]]:
    """Path and text of every record, reading only files that are new or changed since the last time.

    The index is brought up to date on the way; a damaged one is thrown away and built again. Where
    the folder cannot be written, the records are read without it.
    """
    stamps = {str(path.relative_to(output)): _stamp(path) for path in record_paths(output)}
    if not stamps and not (output / NAME).exists():
        return []
    for attempt in ("as it is", "rebuilt"):
        try:
            with contextlib.closing(_connect(output / NAME)) as database:
                return [(output / name, text) for name, text in _update(database, output, stamps)]
        except sqlite3.OperationalError:
            break
        except sqlite3.DatabaseError:
            if attempt == "rebuilt":
                break
            _remove(output)
    return [(output / name, _text(output / name)) for name in stamps]


def _connect(path: Path) -> sqlite3.Connection:
    if not os.access(path.parent, os.W_OK):
        raise sqlite3.OperationalError("the folder cannot be written")
    database = sqlite3.connect(path, timeout=30, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA foreign_keys=ON")
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version not in (0, VERSION):
        database.close()
        raise sqlite3.DatabaseError("the index has another layout")
    return database


def _update(database: sqlite3.Connection, output: Path, stamps: dict[str, str]) -> Iterator[tuple[str, str]]:
    database.execute("BEGIN IMMEDIATE")
    for statement in SCHEMA.split(";"):
        database.execute(statement)
    database.execute(f"PRAGMA user_version={VERSION:d}")
    known = dict(database.execute("SELECT path, stamp FROM records"))
    for name in known.keys() - stamps.keys():
        database.execute("DELETE FROM records WHERE path = ?", (name,))
    for name, stamp in stamps.items():
        if known.get(name) != stamp:
            _insert(database, name, stamp, _text(output / name))
    rows = database.execute("SELECT path, body FROM records ORDER BY path").fetchall()
    database.execute("COMMIT")
    return iter(rows)


def _insert(database: sqlite3.Connection, name: str, stamp: str, text: str) -> None:
    body = _body(text)
    row = [name, stamp, text, body.get("status"), body.get("run_hash"), _inside(body, "model", "id"), body.get("task")]
    row += [_inside(body, "protocol", "name"), _inside(body, "dataset", "name"), _inside(body, "probe", "name")]
    row += [body.get("seed"), body.get("main_metric"), body.get("created_at")]
    cells = [cell if isinstance(cell, str | int | float) else None for cell in row]
    database.execute("DELETE FROM records WHERE path = ?", (name,))
    database.execute(f"INSERT INTO records VALUES ({','.join('?' * len(cells))})", cells)
    metrics: dict[str, Any] = body["metrics"] if isinstance(body.get("metrics"), dict) else {}
    for metric, entry in metrics.items():
        numbers = [_inside(metrics, metric, key) for key in ("value", "ci_low", "ci_high", "n", "unit")]
        better = bool(entry.get("higher_is_better")) if isinstance(entry, dict) else None
        database.execute("INSERT INTO metrics VALUES (?,?,?,?,?,?,?,?)", (name, metric, *numbers, better))


def _body(text: str) -> dict[str, Any]:
    """The record's fields; nothing for a damaged file, which the reader of records then reports."""
    try:
        body = json.loads(text)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _inside(body: dict[str, Any], name: str, key: str) -> Any:
    entry = body.get(name)
    value = entry.get(key) if isinstance(entry, dict) else None
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _stamp(path: Path) -> str:
    status = path.stat()
    return f"{status.st_mtime_ns}.{status.st_size}.{status.st_ino}"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _remove(output: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        (output / f"{NAME}{suffix}").unlink(missing_ok=True)
