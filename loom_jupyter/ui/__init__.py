"""What a run looks like in a notebook, a saved notebook and a terminal."""
