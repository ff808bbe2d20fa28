"""Memory that batches use again: fresh pages from the operating system would cost as much as the arithmetic."""

from __future__ import annotations

import math
import threading
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_CACHE_LINE = 64
_MAX_VIEWS = 4096

Scalar = TypeVar("Scalar", bound=np.generic)


class Scratch(threading.local):
    """Named arrays, each thread its own. An array is void as soon as its name is asked for again."""

    def __init__(self) -> None:
        self._memory: dict[str, NDArray[np.uint8]] = {}
        self._views: dict[tuple[str, tuple[int, ...], type[np.generic]], NDArray[Any]] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: type[Scalar]) -> NDArray[Scalar]:
        """An array with whatever was in that memory before."""
        view = self._views.get((name, shape, dtype))
        if view is None:
            view = self._make(name, shape, dtype)
        return view

    def _make(self, name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
        size = math.prod(shape) * np.dtype(dtype).itemsize
        memory = self._memory.get(name)
        if memory is None or memory.size < size:
            memory = np.empty(size + _CACHE_LINE, dtype=np.uint8)
            # from a cache line on, so that wide loads never straddle two
            memory = self._memory[name] = memory[-memory.ctypes.data % _CACHE_LINE :]
            self._views.clear()
        elif len(self._views) >= _MAX_VIEWS:
            self._views.clear()
        view = memory[:size].view(dtype).reshape(shape)
        self._views[name, shape, dtype] = view
        return view
