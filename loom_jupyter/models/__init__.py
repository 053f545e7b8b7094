"""Local models: catalogue, download, memory plan, and the process that runs llama.cpp."""
