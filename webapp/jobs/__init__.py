"""Long work: the job lease, the event log, the queues and the seam to the engine."""
