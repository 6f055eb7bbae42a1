"""Flows: ordered, durable steps that a user declares.

What a user writes lives in `authoring`, `declared` and `context`. `tree` reads the declared steps as data,
`state` and `reducer` decide what a run does next, `working` runs functions and models, and
`starting` takes calls in. The driver is the engine's own, the same that moves agents.
"""
