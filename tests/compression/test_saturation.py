import pytest

from compression import saturation


@pytest.mark.parametrize(("overflow", "said"), [(False, saturation.EXACT_HERE), (True, "")])
def test_a_file_that_counts_on_exact_sums_says_so(monkeypatch, overflow, said):
    monkeypatch.setattr(saturation, "sums_overflow", lambda: overflow)
    assert saturation.exactness_note() == said
