"""Parts of the HTTP side of ChatKit: `dragoman.chatkit.endpoint` puts them together.

Nothing here knows a web framework; `dragoman.chatkit.asgi` and `dragoman.chatkit.wsgi` are the adapters.
"""
