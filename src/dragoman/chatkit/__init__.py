"""The ChatKit dialect: types, widgets, `ChatKitServer`, and what a server or a client of its wire needs.

The names are those of the published package `chatkit`, at the same paths. Importing any of them needs pydantic
only; no web framework and no agents SDK.
"""
