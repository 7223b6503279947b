"""Errors, files, stores, the pool of workers, downloads, progress, devices; it knows nothing of the other rooms."""
