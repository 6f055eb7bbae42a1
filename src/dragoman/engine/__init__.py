"""Agents, tools and the engine that runs them.

What a user defines lives in `app`, `agents` and `tools`. How a run proceeds is decided by a
pure reducer (`state`, `reducer`), turned into rows by `projection`, and carried out by a small
`driver`; `embedded` ties these to one process.
"""
