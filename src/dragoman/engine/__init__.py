"""Agents, flows, tools and the engine that runs them.

What a user defines lives in `app`, `agents`, `tools` and `flows`. How a run proceeds is decided by a
pure reducer (for an agent's answer `state` and `reducer`, for a flow those in `flows`), turned into rows by a
projection, and carried out by one small `driver`, which knows both as a `course`; `embedded` ties these to one
process, `alone` runs a flow without a store.
"""
