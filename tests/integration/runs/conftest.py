from runs_fixtures import provide_model  # noqa: F401
