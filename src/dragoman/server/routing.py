"""From path to route: an exact table, a table by segment count, and who owns the rest.

No redirects: one trailing slash is ignored. Segments are split before they are decoded, so an
encoded slash stays inside its segment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from dragoman.core.errors import UsageError
from dragoman.server.http import Face, Route

_Segments = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """What a path leads to: the face, its mount, its routes by method, the path's variables."""

    face: Face
    prefix: str
    methods: dict[str, Route]
    names: _Segments
    segments: _Segments

    def params(self) -> dict[str, str]:
        return {
            name[1:-1]: unquote(part)
            for name, part in zip(self.names, self.segments, strict=True)
            if name.startswith("{")
        }


class Router:
    """All routes of all faces. Raises UsageError if two faces claim one method and path."""

    def __init__(self, faces: Sequence[Face]) -> None:
        if not faces:
            raise UsageError("no face is served; the setting 'faces' must name at least one")
        self._faces = tuple(faces)
        self._exact: dict[_Segments, Match] = {}
        self._patterns: dict[int, list[Match]] = {}
        for face, prefix, route in self._all():
            self._add(face, prefix, route)

    def _all(self) -> Iterator[tuple[Face, str, Route]]:
        for face in self._faces:
            for prefix in face.prefixes:
                for route in face.routes:
                    yield face, prefix, route

    def _add(self, face: Face, prefix: str, route: Route) -> None:
        names = _split(prefix + route.path)
        if any(name.startswith("{") for name in names):
            same = self._patterns.setdefault(len(names), [])
            found = next((match for match in same if match.names == names), None)
        else:
            same, found = None, self._exact.get(names)
        if found is None:
            found = Match(face, prefix, {}, names, names)
            if same is None:
                self._exact[names] = found
            else:
                same.append(found)
        if route.method in found.methods:
            raise UsageError(f"two routes claim {route.method} {prefix + route.path}")
        found.methods[route.method] = route

    def find(self, path: str) -> Match | None:
        """The match of a raw (still encoded) path, or None."""
        segments = _split(path)
        found = self._exact.get(segments)
        if found is not None:
            return found
        if "%" in path:  # a client may encode what needs no encoding
            found = self._exact.get(tuple(unquote(part) for part in segments))
            if found is not None:
                return found
        for match in self._patterns.get(len(segments), ()):
            if _fits(match.names, segments):
                return Match(match.face, match.prefix, match.methods, match.names, segments)
        return None

    def owner(self, path: str) -> Face:
        """The face that answers for a path nobody knows: the one whose routes come closest."""
        segments = _split(path)
        best, face = -1, self._faces[0]
        for candidate, prefix, route in self._all():
            names = _split(prefix + route.path)
            shared = 0
            for name, part in zip(names, segments, strict=False):
                if name != part and not (shared and name.startswith("{")):
                    break
                shared += 1
            if shared > best:
                best, face = shared, candidate
        return face


def _split(path: str) -> _Segments:
    if path.endswith("/"):
        path = path[:-1]
    return tuple(path.split("/")[1:])


def _fits(names: _Segments, segments: _Segments) -> bool:
    for name, part in zip(names, segments, strict=True):
        if name != part and not (part and name.startswith("{")):
            return False
    return True
