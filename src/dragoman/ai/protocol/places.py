"""Where manifests are looked for: one file, a directory, the package.

A place finds the document of an id and lists what it has. Documents are parsed once in a process and
shared by every loader, keyed by path, mtime and size, so that many clients of one directory cost one
parse. The order of places is the loader's; what a document means is nobody's here.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from dragoman.ai.errors import ProtocolError
from dragoman.ai.protocol.documents import SUFFIXES, FrozenDict, parse_document
from dragoman.ai.protocol.package import package_document, package_names, package_root, where_in_package

Key: TypeAlias = tuple[str, str, int, int]
"""What a document is shared by: kind, path, mtime in nanoseconds, size."""

LARGEST = 8 * 1024 * 1024
_MOST_DOCUMENTS = 512


class Source(Protocol):
    """One document that exists."""

    @property
    def where(self) -> str: ...

    @property
    def key(self) -> Key: ...

    @property
    def path(self) -> Path | None: ...

    def read(self) -> FrozenDict: ...


class Place(Protocol):
    """Somewhere that holds documents in the layout of an AI-Protocol directory."""

    @property
    def where(self) -> str: ...

    @property
    def names_its_file(self) -> bool: ...

    def find(self, provider_id: str, generations: tuple[str, ...]) -> Source | None: ...

    def providers(self, generations: tuple[str, ...]) -> Iterator[Source]: ...

    def model_files(self) -> Iterator[Source]: ...

    def contracts(self) -> Iterator[Source]: ...

    def spec(self, version: str) -> Source | None: ...


_parsed: OrderedDict[Key, FrozenDict] = OrderedDict()
_parsed_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file on disk as it was when it was looked at."""

    file: Path
    key: Key

    @classmethod
    def of(cls, file: Path) -> FileSource | None:
        """The file, if it is there and one."""
        try:
            state = file.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ProtocolError(f"{file} cannot be looked at: {error.strerror}", protocol_path=str(file)) from error
        if not file.is_file():
            return None
        return cls(file, ("file", str(file.absolute()), state.st_mtime_ns, state.st_size))

    @property
    def where(self) -> str:
        return str(self.file)

    @property
    def path(self) -> Path:
        return self.file

    @property
    def stem(self) -> str:
        return self.file.stem

    def read(self) -> FrozenDict:
        with _parsed_lock:
            found = _parsed.get(self.key)
            if found is not None:
                _parsed.move_to_end(self.key)
                return found
        if self.key[3] > LARGEST:
            raise ProtocolError(f"{self.file} is larger than {LARGEST} bytes", protocol_path=str(self.file))
        try:
            data = self.file.read_bytes()
        except OSError as error:
            raise ProtocolError(
                f"{self.file} cannot be read: {error.strerror}", protocol_path=str(self.file)
            ) from error
        document = parse_document(data, where=str(self.file), yaml=self.file.suffix != ".json")
        with _parsed_lock:
            _parsed[self.key] = document
            while len(_parsed) > _MOST_DOCUMENTS:
                _parsed.popitem(last=False)
        return document


@dataclass(frozen=True, slots=True)
class FilePlace:
    """One manifest, named by its path: the only place that may hold a sandbox version."""

    file: Path
    names_its_file = True

    @property
    def where(self) -> str:
        return str(self.file)

    def _source(self) -> FileSource | None:
        return FileSource.of(self.file)

    def find(self, provider_id: str, generations: tuple[str, ...]) -> Source | None:
        source = self._source()
        if source is None:
            raise ProtocolError(f"{self.file} is not there", protocol_path=str(self.file))
        return source if source.read().get("id") == provider_id else None

    def providers(self, generations: tuple[str, ...]) -> Iterator[Source]:
        source = self._source()
        if source is not None:
            yield source

    def model_files(self) -> Iterator[Source]:
        return iter(())

    def contracts(self) -> Iterator[Source]:
        return iter(())

    def spec(self, version: str) -> Source | None:
        return None


@dataclass(frozen=True, slots=True)
class DirectoryPlace:
    """A directory in the layout of AI-Protocol; `<id>.json` or `.yaml` at its top will do too."""

    root: Path
    names_its_file = False

    @property
    def where(self) -> str:
        return str(self.root)

    def find(self, provider_id: str, generations: tuple[str, ...]) -> Source | None:
        for candidate in self._candidates(provider_id, generations):
            source = FileSource.of(candidate)
            if source is not None:
                return source
        return None

    def _candidates(self, provider_id: str, generations: tuple[str, ...]) -> Iterator[Path]:
        for generation in generations:
            yield self.root / "dist" / generation / "providers" / f"{provider_id}.json"
        for generation in generations:
            for suffix in SUFFIXES:
                yield self.root / generation / "providers" / f"{provider_id}{suffix}"
        for suffix in SUFFIXES:
            yield self.root / f"{provider_id}{suffix}"

    def providers(self, generations: tuple[str, ...]) -> Iterator[Source]:
        seen: set[str] = set()
        folders = [self.root / "dist" / generation / "providers" for generation in generations]
        folders += [self.root / generation / "providers" for generation in generations]
        for folder in [*folders, self.root]:
            for source in self._files(folder):
                if source.stem not in seen:
                    seen.add(source.stem)
                    yield source

    def _files(self, folder: Path) -> Iterator[FileSource]:
        try:
            names = sorted(entry.name for entry in folder.iterdir() if entry.suffix in SUFFIXES)
        except OSError:
            return  # a folder that is not there holds nothing
        for name in sorted(names, key=lambda name: (Path(name).stem, SUFFIXES.index(Path(name).suffix))):
            source = FileSource.of(folder / name)
            if source is not None:
                yield source

    def model_files(self) -> Iterator[Source]:
        for folder in ("dist/v1/models", "v1/models", "dist/v2/models", "v2/models"):
            yield from self._files(self.root / folder)

    def contracts(self) -> Iterator[Source]:
        for folder in ("dist/v2/contracts", "v2/contracts"):
            yield from self._files(self.root / folder)

    def spec(self, version: str) -> Source | None:
        for suffix in SUFFIXES:
            source = FileSource.of(self.root / version / f"spec{suffix}")
            if source is not None:
                return source
        return None


@dataclass(frozen=True, slots=True)
class PackageSource:
    name: str
    path = None

    @property
    def where(self) -> str:
        return where_in_package(self.name)

    @property
    def key(self) -> Key:
        return ("package", self.name, 0, 0)

    def read(self) -> FrozenDict:
        return package_document(self.name)


@dataclass(frozen=True, slots=True)
class PackagePlace:
    """The manifests that are shipped."""

    names_its_file = False

    @property
    def where(self) -> str:
        return f"the package ({package_root()})"

    def find(self, provider_id: str, generations: tuple[str, ...]) -> Source | None:
        for generation in generations:
            if provider_id in package_names(f"{generation}/providers"):
                return PackageSource(f"{generation}/providers/{provider_id}.json")
        return None

    def providers(self, generations: tuple[str, ...]) -> Iterator[Source]:
        seen: set[str] = set()
        for generation in generations:
            for name in package_names(f"{generation}/providers"):
                if name not in seen:
                    seen.add(name)
                    yield PackageSource(f"{generation}/providers/{name}.json")

    def model_files(self) -> Iterator[Source]:
        return (PackageSource(f"v1/models/{name}.json") for name in package_names("v1/models"))

    def contracts(self) -> Iterator[Source]:
        return (PackageSource(f"v2/contracts/{name}.json") for name in package_names("v2/contracts"))

    def spec(self, version: str) -> Source | None:
        name = {"v1": "schemas/v1.json", "v2": "schemas/v2/provider.json"}.get(version)
        return PackageSource(name) if name is not None else None
