"""Training runs that resume and are tracked: fine-tuning, ODITS, pretraining."""
