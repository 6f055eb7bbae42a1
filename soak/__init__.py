"""What takes too long for the suite: `make soak`, or `python -m soak [crash] [streams]`.

`crash` plays a hundred `kill -9` under twenty streams; `streams` holds 1,200 of them open in one
process and looks at what the process holds before, meanwhile and after. POSIX only.
"""
