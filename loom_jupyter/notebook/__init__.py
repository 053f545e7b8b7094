"""What the kernel of a notebook tells, read in its main thread; no library is imported and no user code is run."""
