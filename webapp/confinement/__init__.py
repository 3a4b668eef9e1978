"""How the engine process locks itself in before it opens a file of anybody's; imports nothing of Django."""
