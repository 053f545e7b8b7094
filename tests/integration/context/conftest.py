from context_fixtures import git, make, opened, shop, write  # noqa: F401
