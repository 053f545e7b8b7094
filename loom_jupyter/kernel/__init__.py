"""The notebook's side: magics, completion, and what is read of a kernel without running the user's code."""
