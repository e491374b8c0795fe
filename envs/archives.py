"""Named arrays as one zip of .npy files: `numpy.load` opens it, equal arrays give equal bytes, none holds objects."""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

_EPOCH = (1980, 1, 1, 0, 0, 0)


def zipped(arrays: Arrays) -> bytes:
    """Content of a compressed .npz file of the arrays; it holds no time stamp, as `numpy.savez` would put there."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, member.getbuffer(), compresslevel=1)
    return buffer.getvalue()


def unzipped(data: bytes) -> Arrays:
    """Arrays of an .npz file; whatever is wrong with it raises some exception, arrays of objects included."""
    arrays = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                arrays[name.removesuffix(".npy")] = np.lib.format.read_array(member, allow_pickle=False)
                if member.read(1):
                    raise ValueError(f"{name} is longer than its array")
    return arrays


def digest(arrays: Arrays, *, text: str = "") -> str:
    """SHA-256 of a text and of name, type, shape and content of each array, whatever their order."""
    state = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        state.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        state.update(array.tobytes())
    return state.hexdigest()
