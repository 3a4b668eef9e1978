"""A configuration as it stands in an address: its numbers, runs of equal ones written once (``3.0x12.5``)."""

MOST_NUMBERS = 20_000


def config_of(text: str) -> list[int]:
    """The configuration of a text.

    Raises:
        ValueError: when it is none.
    """
    config: list[int] = []
    for run in text.split("."):
        number, _, count = run.partition("x")
        config += [int(number)] * min(int(count or 1), MOST_NUMBERS)
        if len(config) > MOST_NUMBERS:
            raise ValueError(f"more than {MOST_NUMBERS} numbers")
    return config
