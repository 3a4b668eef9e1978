import pytest

from compression.cost import device_names
from webapp.devices.queries import device_figures

pytestmark = pytest.mark.django_db


def test_catalogue_lists_every_device_with_label_and_band(client):
    targets = client.get("/api/devices").json()["targets"]
    assert [target["name"] for target in targets] == list(device_names())
    for target in targets:
        low, high = target["band"]
        assert 0 < low < 1 < high
        assert target["label"]


@pytest.mark.parametrize("name", ["this-host", "rpi4", "pixel-6", "stm32-l4r5"])
def test_device_page_shows_each_figure_with_its_source(client, name):
    page = client.get(f"/devices/{name}/").content.decode()
    for figure in device_figures(name):
        assert figure.value in page
    assert "Figures and where they come from" in page


def test_figures_from_memory_are_shown_as_such(client):
    from_memory = {figure.name for figure in device_figures("redmi-3s") if figure.from_memory}
    assert {"Power above idle", "Memory"} <= from_memory
    assert "3×3 convolutions" not in from_memory
    page = client.get("/devices/redmi-3s/").content.decode()
    assert 'data-tier="rough">From memory</span>' in page


def test_unknown_device_is_not_found(client):
    assert client.get("/devices/pixel-99/").status_code == 404
