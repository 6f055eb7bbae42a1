"""Vocabularies of tiktoken (extra `tokens`), used only when they lie on this machine already.

tiktoken fetches a vocabulary when one is first used. A count must not do that, so it is looked for
first, in the folder that tiktoken itself uses (`TIKTOKEN_CACHE_DIR`), and checked against its known
digest; whoever wants one fetches it beforehand with `fetch_vocabulary`.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from dragoman.core.errors import MissingExtra

__all__ = ["Vocabulary", "fetch_vocabulary", "has_vocabulary", "load_vocabulary"]

_PLACE = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
_DIGESTS = {
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}
"""Vocabulary → SHA-256 of its file. tiktoken names the file after the address it comes from."""

_lock = threading.Lock()
_loaded: dict[str, Vocabulary] = {}


class Vocabulary(Protocol):
    """What is needed of `tiktoken.Encoding`."""

    def encode(self, text: str, *, disallowed_special: Any) -> list[int]: ...


def has_vocabulary(name: str) -> bool:
    """Whether a vocabulary lies on this machine, whole; reads its file. Never asks the network."""
    digest = _DIGESTS.get(name)
    if digest is None:
        return False
    try:
        data = (_folder() / hashlib.sha1(_PLACE.format(name).encode(), usedforsecurity=False).hexdigest()).read_bytes()
    except OSError:
        return False
    return hashlib.sha256(data).hexdigest() == digest


def load_vocabulary(name: str) -> Vocabulary | None:
    """A vocabulary that lies on this machine; None if it does not. Raises MissingExtra without tiktoken."""
    found = _loaded.get(name)
    if found is None and has_vocabulary(name):
        found = fetch_vocabulary(name)
    elif found is None:
        _tiktoken()  # so that a missing package is told as such
    return found


def fetch_vocabulary(name: str) -> Vocabulary:
    """A vocabulary, from the network if it is not here yet; for the start of a program.

    Raises MissingExtra without tiktoken, ValueError for a name it does not know, and what `requests`
    raises when the network fails.
    """
    with _lock:
        if name not in _loaded:
            _loaded[name] = _tiktoken().get_encoding(name)
        return _loaded[name]


def _tiktoken() -> Any:
    try:
        return import_module("tiktoken")
    except ImportError as error:
        raise MissingExtra("Counting tokens exactly", "tokens") from error


def _folder() -> Path:
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if variable in os.environ:
            return Path(os.environ[variable])
    return Path(tempfile.gettempdir()) / "data-gym-cache"
