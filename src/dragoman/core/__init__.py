"""The words of Dragoman: messages, events, runs, errors, ports.

Everything here is a plain frozen value or a protocol. Nothing here reads a clock, opens a
socket or a file, or imports a framework; every other package may import this one.
"""
