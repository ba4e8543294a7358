"""Files that want to have something run, and files that lie about their size."""

from __future__ import annotations

import argparse
import io
import json
import os
import pickle
import shutil
import struct
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

GIANT = 4 << 30
PLACES = ("top", "beside", "among the tensors", "in a list", "in the arguments")


class Payload:
    """Calls `function(*arguments)` when unpickled without care."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def payloads(marker: Path) -> dict[str, Payload]:
    """By the name under which they must be refused; each would create `marker`."""
    code = f"open({str(marker)!r}, 'w').close()"
    inner = pickle.dumps(Payload(exec, code))
    return {
        f"{os.name}.mkdir": Payload(os.mkdir, str(marker)),
        f"{os.name}.system": Payload(os.system, f"{sys.executable} -c {code!r}"),
        "exec": Payload(exec, code),
        "eval": Payload(eval, code),
        "io.open": Payload(open, str(marker), "w"),
        "shutil.copyfile": Payload(shutil.copyfile, __file__, str(marker)),
        "torch.storage._load_from_bytes": Payload(torch.storage._load_from_bytes, inner),
        "getattr": Payload(getattr, OrderedDict, "fromkeys"),
    }


def around(payload: object, place: str) -> Any:
    """The object as the whole content, or inside a file that otherwise looks sound."""
    state = {"conv1.weight": torch.ones(64, 3, 7, 7), "bn1.bias": torch.ones(64)}
    return {
        "top": payload,
        "beside": {"state_dict": state, "epoch": 3, "extra": payload},
        "among the tensors": {"state_dict": {**state, "bn1.weight": payload}},
        "in a list": {"state_dict": state, "optimizer": {"param_groups": [{"lr": 0.1, "params": [1, (2, [payload])]}]}},
        "in the arguments": {"state_dict": state, "args": argparse.Namespace(lr=0.1, hook=payload)},
    }[place]


def giant_safetensors(path: Path, header_bytes: int = GIANT) -> Path:
    """A header length far beyond the file."""
    path.write_bytes(struct.pack("<Q", header_bytes) + b'{"conv1.weight":{"dtype":"F32"}}' + bytes(64))
    return path


def giant_tensor_safetensors(path: Path) -> Path:
    """A sound header of a tensor far larger than the file."""
    table = {"conv1.weight": {"dtype": "F32", "shape": [1 << 30], "data_offsets": [0, GIANT]}}
    header = json.dumps(table).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(256))
    return path


def giant_legacy(path: Path) -> Path:
    """Old format: a storage said to hold 2**30 numbers, then the end of the file."""
    buffer = io.BytesIO()
    torch.save({"conv1.weight": torch.ones(1021)}, buffer, _use_new_zipfile_serialization=False)
    said = pickle.dumps(1021, protocol=2)[2:-1]
    claimed = pickle.dumps(1 << 30, protocol=2)[2:-1]
    assert said in buffer.getvalue()
    path.write_bytes(buffer.getvalue().replace(said, claimed))
    return path


def giant_zip_directory(path: Path) -> Path:
    """New format: the archive's own directory says that a tensor takes 4 GB."""
    torch.save({"conv1.weight": torch.ones(1021)}, path)
    content = path.read_bytes()
    directory = content.index(b"PK\x01\x02")
    size, claimed = struct.pack("<I", 4 * 1021), struct.pack("<I", 0xFFFFFFFE)
    assert size in content[directory:]
    path.write_bytes(content[:directory] + content[directory:].replace(size, claimed))
    return path


def giant_zip_storage(path: Path) -> Path:
    """New format: the pickle says 2**30 numbers, the archive holds few."""
    buffer = io.BytesIO()
    torch.save({"conv1.weight": torch.ones(1021)}, buffer)
    said, claimed = (pickle.dumps(number, protocol=2)[2:-1] for number in (1021, 1 << 30))
    return _rewritten(buffer, path, "data.pkl", lambda pickled: pickled.replace(said, claimed))


def zip_bomb(path: Path, size: int = 1 << 30) -> Path:
    """New format: a tensor's bytes are a gigabyte of zeros, deflated to a megabyte."""
    buffer = io.BytesIO()
    torch.save({"conv1.weight": torch.ones(1021)}, buffer)
    return _rewritten(buffer, path, "data/0", lambda _: bytes(size), zipfile.ZIP_DEFLATED)


def _rewritten(
    source: io.BytesIO, path: Path, name: str, change: Callable[[bytes], bytes], method: int = zipfile.ZIP_STORED
) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.namelist():
            hit = entry.endswith(name)
            content = change(old.read(entry)) if hit else old.read(entry)
            new.writestr(entry, content, compress_type=method if hit else zipfile.ZIP_STORED)
    return path
