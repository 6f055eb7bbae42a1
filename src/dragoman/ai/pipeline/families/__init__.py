"""What each family of wires says, built in: one module per adapter.

A family completes the rules of a manifest and reads a frame alone where there are none. It is
chosen by the manifest's adapter; nothing here knows who the provider is. Modules load when they are
first used.
"""

from __future__ import annotations

from dragoman.ai.pipeline.families.family import Family, Piece, family_of

__all__ = ["Family", "Piece", "family_of"]
