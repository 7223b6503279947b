"""A word model on a split: evaluation and its results, comparison, model selection, retrieval, reading tasks."""
