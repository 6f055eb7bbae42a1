"""Proofs: small programs that show one promise of DESIGN.md against a running server.

    make prove-NAME            one proof; a line of verdict, and the exit code likewise
    make prove-NAME BREAK=1    the same with the guard taken out that it proves: must fail
    make prove                 all of them
    make prove-breaks          each once with its guard taken out: all must fail

They need neither key nor network. `killing` and `server` are also what the crash suite and the
soak run on.
"""
