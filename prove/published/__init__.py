"""What a proof lets the published clients do: programs that run in environments of their own, where nothing of ours is installed.

    python FILE URL USER THREAD DOING …

They print one JSON document: what the client sees of the thread, in the order in which it sees it.
"""
