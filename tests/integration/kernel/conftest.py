from kernel_fixtures import notebook  # noqa: F401
