"""The baselines that a fine-tuned model must beat to be worth its cost."""
