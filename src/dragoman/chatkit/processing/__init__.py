"""How a ChatKit request is processed, in parts that a server puts together.

`opening` says what each streaming operation does before its answer, `tail` runs the answer, `operations` has the
operations with one JSON answer; `structured` and `frames` are pure, `cleanups` keeps what must not be cancelled.
None of it knows HTTP.
"""
