"""Adapters for web frameworks, each a module of its own: `fastapi` (and any ASGI app), `flask`, `relay`.

Importing this package imports no framework.
"""
