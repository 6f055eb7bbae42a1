"""Tests for a user's own ChatKit store. The names load when they are used, because the tests need pytest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.testing.chatkit.contract import Caller, StoreContract, store_contract
    from dragoman.testing.chatkit.examples import every_item

__all__ = ["Caller", "StoreContract", "every_item", "store_contract"]

__getattr__, __dir__ = lazily(__name__, {"contract": "Caller StoreContract store_contract", "examples": "every_item"})
