from pipeline_fixtures import environment, heard, unit  # noqa: F401
