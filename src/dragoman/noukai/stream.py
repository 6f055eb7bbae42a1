"""The streams that the clients give: the transport's, under the dialect's name."""

from dragoman.transport.streams import AsyncEventStream, EventStream

__all__ = ["AsyncEventStream", "EventStream"]
