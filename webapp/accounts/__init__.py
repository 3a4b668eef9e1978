"""Who is asking: local mode has one automatic user, on the loopback interface only."""
