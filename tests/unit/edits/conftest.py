from edits_fixtures import in_memory  # noqa: F401
