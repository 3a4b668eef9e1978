"""Two recipes, builds or devices side by side."""
