from models_fixtures import real_model, tiny_gguf, tiny_model  # noqa: F401
