"""Model servers: the OpenAI-compatible ones, Ollama, and those that score a prompt."""
