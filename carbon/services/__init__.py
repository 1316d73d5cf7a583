"""The use cases. Each is a function of a Context and owns its transaction."""
