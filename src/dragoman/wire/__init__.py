"""Bytes and values: incremental codecs for the wires that every dialect builds on.

Pure code: fed bytes, it gives values; fed values, it gives bytes. No socket, no clock.
"""
