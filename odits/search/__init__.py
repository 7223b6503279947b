"""The index of a collection, and queries over it."""
