"""The built-in sample networks with their data, and the scripts that made them."""
