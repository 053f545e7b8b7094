"""The Context Loom: a deterministic index of a workspace, its rules and the Evidence Ledger."""
