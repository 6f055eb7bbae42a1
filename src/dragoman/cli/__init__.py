"""The command line: a client of Dragoman's own face, and the way to start a server.

Thin on purpose: what a command does lives in the rooms below, here are only arguments, texts and
exit codes.
"""
