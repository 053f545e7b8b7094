"""Three nodes in a fixed order: Architect, Explorer, Coder."""
