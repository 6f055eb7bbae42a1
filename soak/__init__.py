"""What takes too long for the suite: `make soak`, or `python -m soak [crash] [flows] [jobs] [streams]`.

`crash` plays a hundred `kill -9` under twenty streams, `flows` under the flows and jobs of sixteen users;
`jobs` runs ten thousand of them; `streams` holds 1,200 streams open in one process and looks at what
the process holds before, meanwhile and after. POSIX only.
"""
