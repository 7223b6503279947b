"""Metrics of word probabilities and agreement of annotators: arrays in, floats out."""
