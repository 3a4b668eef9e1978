"""One file a stage of a job; each reads what earlier stages left and writes its own folder."""
