"""Checkpoint stores and experiment trackers: MLflow, Neptune, Neptune exports."""
