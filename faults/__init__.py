"""Planted faults: does the suite notice?

`make faults` takes one line of the code at a time and makes it wrong, in a copy of the tree. The
test that a fault names must then fail. All named tests are run unharmed first and must pass.
`planted` is the table, `__main__` plants and looks.
"""
