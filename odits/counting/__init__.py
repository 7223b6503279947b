"""Object counts of a split, their distribution, and the search for filters."""
