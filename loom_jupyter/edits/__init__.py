"""From a rewrite to bytes on disk: staged copy, check, journal, undo."""
