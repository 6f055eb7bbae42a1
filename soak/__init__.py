"""What takes too long for the suite: `make soak`, or `python -m soak [crash] [flows] [chatkit] [stackspot] [jobs] [streams]`.

`crash` plays a hundred `kill -9` under twenty streams, `flows` under the flows and jobs of sixteen users,
`chatkit` under sixteen users of ChatKit's wire, with approvals and forms,
`stackspot` under sixteen users of StackSpot's wire, with quick commands;
`jobs` runs ten thousand of them; `streams` holds 1,200 streams open in one process and looks at what
the process holds before, meanwhile and after. POSIX only.
"""
