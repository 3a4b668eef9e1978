import io
import zipfile

import numpy as np
import onnxruntime
import pytest

from tests.webapp import making
from tests.webapp.test_own_devices import create, kit_runs, measured
from webapp.devices.kit import kit_graphs
from webapp.devices.kit_csv import blank_table, parse_times
from webapp.devices.models import Measurement
from webapp.responses import RequestRefusedError

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    "text",
    [
        "name,run 1 ms,run 2 ms\nsums,1.5,2\npools,3,\n",
        "name;run 1 ms;run 2 ms\nsums;1,5;2\npools;3;\n",
        "name;run 1 ms\r\nsums;1.5;2,0\r\n\r\n# a remark; 7\r\npools;3\r\nmobile;;\r\n",
        "\ufeffsums\t1,5\t2\npools\t3\n",
        'sums, "1.5" ,2\npools,3\n',
        "sums,1.5\npools,3\nsums,2\n",
        "# my phone\nname;run 1 ms;run 2 ms\nsums;1,5;2\n\nName;run 1 ms\npools;3\n",
    ],
)
def test_tables_of_any_spreadsheet_say_the_same(text):
    runs = {run.name: run.runs_ms for run in parse_times(text)}
    assert runs == {"sums": [1.5, 2.0], "pools": [3.0]}


def test_commas_part_cells_where_nothing_else_does():
    (two,), (one,) = parse_times("mobile,3,5"), parse_times("mobile;3,5")
    assert (two.runs_ms, one.runs_ms) == ([3, 5], [3.5])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sums,1\npools,-3", "line 2: -3 ms is no time; it must be above zero."),
        ("sums,0", "line 1: 0 ms is no time"),
        ("sums;0,0", "line 1: 0,0 ms is no time"),
        ("sums,nan", "line 1: nan ms is no time"),
        ("sums,1e999", "line 1: 1e999 ms is no time"),
        ("sums;1.234,5", "line 1: '1.234,5' is no number."),
        ("sums,fast", "line 1: 'fast' is no number."),
        ("sums,1_000", "line 1: '1_000' is no number."),
        ("name,run\n\nconv9,1", "line 3: there is no graph 'conv9' in the kit."),
        (",1.5", "line 1: there is no graph '(no name)'"),
        ("=cmd(),1.5", "there is no graph '=cmd()'"),
        ("", "no line holds a name and a time"),
        ("name,run 1 ms\nsums,\n", "no line holds a name and a time"),
        ("\n".join(["sums,1"] * 10_000), "The file has 10,000 lines; 500 are taken at once."),
        ("\x00\x01,5\n", "there is no graph"),
        (f"sums,1\n{'x' * 140_000},5", "line 2 is no line of a table: field larger than"),
    ],
)
def test_wrong_tables_are_refused_with_the_line(text, sentence):
    with pytest.raises(RequestRefusedError) as refused:
        parse_times(text)
    assert sentence in str(refused.value)
    assert refused.value.status == 422


def test_all_faults_are_told_up_to_ten():
    with pytest.raises(RequestRefusedError) as refused:
        parse_times("\n".join(["sums,-1"] * 12))
    assert str(refused.value).count("no time") == 10
    assert str(refused.value).endswith("and 2 more.")


def test_blank_table_is_read_once_it_is_filled():
    lines = blank_table(list(kit_graphs())).splitlines()
    assert len(lines) == 1 + len(kit_graphs())
    filled = [lines[0], *(line.replace(";", ";2,5", 1) for line in lines[1:])]
    assert [run.name for run in parse_times("\n".join(filled))] == list(kit_graphs())


def kit_of(client, device, query=""):
    answer = client.get(f"/devices/{device.key}/kit.zip{query}")
    assert answer.status_code == 200, answer.content
    return zipfile.ZipFile(io.BytesIO(answer.content))


def test_kit_holds_graphs_that_run_a_table_and_instructions(client, user):
    archive = kit_of(client, create(user))
    names = archive.namelist()
    assert {f"kit/graphs/{name}.onnx" for name in kit_graphs()} < set(names)
    session = onnxruntime.InferenceSession(archive.read("kit/graphs/sums.onnx"))
    x = np.ones(kit_graphs()["sums"].input["shape"], np.float32)
    assert np.isfinite(session.run(None, {"x": x})[0]).all()
    assert archive.read("kit/times.csv").decode().splitlines()[1].startswith("conv3x3-16;")
    how = archive.read("kit/README.txt").decode()
    assert "one thread" in how
    assert "onnxruntime_perf_test -I -m times" in how


def test_kit_brings_networks_of_the_owner_along(client, user, study_folder):
    project = making.studied(user, study_folder)
    name = f"model:{project.study.job.id}"
    device = create(user)
    page = client.get(f"/devices/{device.key}/").content.decode()
    assert f'value="{name}"' in page
    archive = kit_of(client, device, f"?with={name}")
    assert (
        archive.read(f"kit/networks/model-{project.study.job.id}.onnx") == making.onnx_bytes()
    )
    assert f"{name};" in archive.read("kit/times.csv").decode()
    assert "tiny, original" in archive.read("kit/README.txt").decode()


def test_kit_never_holds_networks_of_others(client, user, stranger, study_folder):
    theirs = making.studied(stranger, study_folder)
    device = create(user)
    answer = client.get(f"/devices/{device.key}/kit.zip?with=model:{theirs.study.job.id}")
    assert answer.status_code == 422
    assert client.get(f"/devices/{create(stranger).key}/kit.zip").status_code == 404


def send(client, device, text):
    return client.post(
        f"/api/own-devices/{device.id}/times", {"text": text}, content_type="application/json"
    )


def test_filled_table_calibrates_the_device(client, user):
    device = create(user)
    rows = "".join(
        f"{run.name};{';'.join(str(ms).replace('.', ',') for ms in run.runs_ms)}\n"
        for run in kit_runs()
    )
    answer = send(client, device, rows).json()
    assert len(answer["used"]) == len(kit_graphs())
    assert answer["error_after"] < answer["error_before"]
    assert (
        "Predicted against measured" in client.get(f"/devices/{device.key}/").content.decode()
    )


def test_wrong_table_leaves_nothing(client, user):
    answer = send(client, create(user), "sums,1\npools,-3 \n")
    assert answer.status_code == 422
    assert "line 2: -3 ms is no time" in answer.json()["error"]["message"]
    assert not Measurement.objects.exists()
    assert send(client, create(user), 7).status_code == 400


def test_runs_are_downloaded_as_they_came(client, user):
    device = measured(user)
    rows = client.get(f"/devices/{device.key}/runs.json").json()["measurements"]
    assert [row["name"] for row in rows] == list(kit_graphs())
    assert rows[0]["environment"] == {"cores": 4}
    text = client.get(f"/devices/{device.key}/runs.csv").content.decode()
    assert len(text.splitlines()) == 1 + 3 * len(kit_graphs())
    assert text.splitlines()[0] == "measured,name,run,ms,set aside because"


def test_downloads_are_for_the_owner_alone(client, user, stranger):
    theirs = measured(stranger)
    theirs.shared = True
    theirs.save()
    page = client.get(f"/devices/{theirs.key}/").content.decode()
    assert "Measured by stranger on" in page
    assert "Runs as they came" not in page
    for path in ("runs.json", "runs.csv", "kit.zip"):
        assert client.get(f"/devices/{theirs.key}/{path}").status_code == 404


def test_kit_of_an_8_bit_device_says_to_convert_first(client, user):
    def how(arithmetic):
        archive = kit_of(client, create(user, arithmetic=arithmetic))
        return archive.read("kit/README.txt").decode()

    assert "to 8-bit integers first" in how("int8")
    assert "8-bit" not in how("fp32")
