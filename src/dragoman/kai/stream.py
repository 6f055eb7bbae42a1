"""The stream that the blocking client gives: the transport's, under the dialect's name."""

from dragoman.transport.streams import EventStream

__all__ = ["EventStream"]
