"""The one error family of this library; ``str(error)`` is written for the user."""


class SelectorError(Exception):
    """Something the user can understand and act on: what is wrong, where, what would do."""


class BadRequestError(SelectorError):
    """A request, a command line or a job folder does not say what it must say."""


class OutOfMemoryError(SelectorError):
    """A stage needed more memory than there is."""


class DiskFullError(SelectorError):
    """A stage could not write what it found."""
