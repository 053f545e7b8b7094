from server_fixtures import server  # noqa: F401
