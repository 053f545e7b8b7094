"""The gate: one list of rules, what a proposal may not be."""
