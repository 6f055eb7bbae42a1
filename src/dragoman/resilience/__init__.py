"""Decisions about failing peers: given what happened and the time, what next.

Nothing here opens a connection or reads a clock; callers give the time and the randomness, and
whoever has to wait does so through the I/O port.
"""
