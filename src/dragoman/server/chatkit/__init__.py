"""ChatKit over our own rows and engine: stores, attachments, the responder, and the face of the server.

Import the modules: this package itself starts nothing, and only `face` needs the web server.
"""
