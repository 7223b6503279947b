"""ODITS: objects and words fused into one prediction, and its explanation."""
