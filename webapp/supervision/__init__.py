"""Everything that `manage.py up` keeps running: broker, workers, web, reaper."""
