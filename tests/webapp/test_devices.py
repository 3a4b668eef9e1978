import pytest

from compression.cost import device_names, load_device
from compression.device_evidence import evidence
from webapp.devices.charts import evidence_data, evidence_figure
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
    for figure in device_figures(load_device(name)):
        assert figure.value in page
    assert "Figures and where they come from" in page


def test_figures_from_memory_are_shown_as_such(client):
    from_memory = {
        figure.name for figure in device_figures(load_device("redmi-3s")) if figure.from_memory
    }
    assert {"Power above idle", "Memory"} <= from_memory
    assert "3×3 convolutions" not in from_memory
    page = client.get("/devices/redmi-3s/").content.decode()
    assert "From memory</span>" in page


def test_unknown_device_is_not_found(client):
    assert client.get("/devices/pixel-99/").status_code == 404


def test_measured_chip_shows_how_hidden_networks_were_predicted(client):
    rows = evidence("rpi4")
    assert len(rows) == 24
    data = evidence_data(rows, (0.75, 1.33))
    assert 0.7 * 24 < data.inside <= 24
    figure = evidence_figure(data)
    (trace,) = figure["data"]
    assert trace["x"][0] == rows[0].measured_ms
    assert f"{data.inside} of 24" in figure["layout"]["meta"]["summary"]
    assert {"50", "100", "200"} <= set(figure["layout"]["xaxis"]["ticktext"])
    assert "Predicted against measured" in client.get("/devices/rpi4/").content.decode()


def test_chip_nobody_measured_shows_no_chart(client):
    assert evidence_data(evidence("redmi-3s"), (0.5, 2.0)) is None
    assert "Predicted against measured" not in client.get("/devices/redmi-3s/").content.decode()
