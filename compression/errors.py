"""The one error family of this library; ``str(error)`` is written for the user."""


class CompressionError(Exception):
    """Something the user can understand and act on: what is wrong, where, what would do."""


class ModelRefusedError(CompressionError):
    """The uploaded model cannot be read or holds something no part of the engine understands."""


class DataRefusedError(CompressionError):
    """The uploaded data cannot be read or does not fit the model."""


class TechniqueRefusedError(CompressionError):
    """A technique was asked to treat a layer it cannot treat."""


class VerificationError(CompressionError):
    """An exported file does not compute what the network it was made from computes."""


class FormatError(CompressionError):
    """A converter to another runtime's format failed, or its file computes something else."""
