"""The only door to the network: one I/O port and its drivers.

Operations of the dialects are coroutines over `IO`; an async and a blocking shell step them
(see `dragoman.transport.io`). Nothing else in the package opens a client connection.
"""
