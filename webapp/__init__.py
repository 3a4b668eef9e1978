"""The Django project: HTTP, database, queue, sockets."""
