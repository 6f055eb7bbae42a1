"""Where rows and the journal lie on disk: SQLite, behind the port `dragoman.core.ports.Store`.

`open_store` gives the one engine's store of a directory, `open_beside` a reading view for
command-line tools. Nothing here knows agents, dialects or HTTP; it keeps what it is given and
holds the conditions that `dragoman.core.records` names.
"""

from dragoman.store.sqlite import SQLiteStore, open_beside, open_store

__all__ = ["SQLiteStore", "open_beside", "open_store"]
