"""What is larger than a test's patience or memory: `make scale`, or `python -m scale [uploads]`.

`uploads` sends a gigabyte with our own client to our own server and looks at what both processes hold meanwhile.
POSIX only; peaks of memory are exact on Linux and sampled elsewhere.
"""
