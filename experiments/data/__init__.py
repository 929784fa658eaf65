"""Images, sentences and their order: where they come from and how they are varied."""
