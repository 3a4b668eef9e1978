"""One file a technique; the folder is the registry (see ``compression.technique``)."""
