"""The kit as one file to carry to a device: graphs, networks, a table to fill, and how."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

from compression.cost import load_device
from webapp.devices.kit import kit_graphs
from webapp.devices.kit_csv import blank_table
from webapp.devices.networks import timed
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webapp.devices.models import OwnDevice

MOST_NETWORKS = 20
MOST_BYTES = 256 * 1024**2
TABLE, HOW = "times.csv", "README.txt"
CONVERSION = """   This device computes in 8 bits: convert each .onnx file that is in float to 8-bit integers first, with
   the tools of its runtime. Times of float files would make it look slow.
"""
THE_SAME_DAY = (1980, 1, 1, 0, 0, 0)
"""The same kit is the same file, byte for byte."""

TEXT = """Kit for {title}

What to do
1. Copy this folder to the device.
{conversion}2. Run each .onnx file: some times to warm up, then ten times or more, on a quiet device that is not hot,
   with {threads} and batch size 1. Fill the input with numbers between 0 and 1.
3. Write the milliseconds of each run into times.csv, one line a file. The first cell is the name that
   stands there already; leave a line empty if the file does not run. More than ten runs are welcome.
   Write decimals with a point or a comma; with decimal commas part the columns by semicolons.
4. Send times.csv on the page of the device, under "Send the filled table".

With ONNX Runtime's own tool
   onnxruntime_perf_test -I -m times -r 20 -x {n_threads} -y 1 -e cpu graphs/conv3x3-16.onnx times.txt
   -I makes up the input, -x is the number of threads. Each run's time is in times.txt, in seconds:
   multiply by 1000. Leave the first runs out.

With another runtime
   Convert the graphs with its own tools. All of them are plain ONNX (opset 13) of a few kilobytes: weights
   are ConstantOfShape, which is expanded while loading. Time one whole run: input in, output out.

Why these
   Each graph does mostly one thing (3x3 convolutions, depthwise ones, dense layers, sums, ...). Together
   they tell how fast the device does each, which predicts networks it never ran. A network of your own, timed
   along, makes predictions of networks like it better.
{networks}"""


def kit_zip(device: OwnDevice, names: Sequence[str]) -> bytes:
    """The kit for a device, with networks of its owner by the names that ``networks.timed`` knows.

    Raises:
        RequestRefusedError: for a network that is not there, and for more than a kit holds.
    """
    if len(names) > MOST_NETWORKS:
        raise RequestRefusedError(f"A kit holds at most {MOST_NETWORKS} networks.")
    prior = load_device(device.prior)
    networks = [(name, timed(owner=device.owner, name=name, prior=prior)) for name in names]
    if sum(network.path.stat().st_size for _, network in networks) > MOST_BYTES:
        raise RequestRefusedError("These networks are larger than the 256 MiB of a kit.")
    files = {
        f"graphs/{graph.path.name}": graph.path.read_bytes() for graph in kit_graphs().values()
    }
    files |= {file_name(name): network.path.read_bytes() for name, network in networks}
    files[TABLE] = blank_table([*kit_graphs(), *names]).encode()
    titles = "".join(f"   {file_name(name)}: {network.title}\n" for name, network in networks)
    files[HOW] = TEXT.format(
        title=device.title,
        conversion=CONVERSION if device.arithmetic == "int8" else "",
        threads="one thread" if device.threads == 1 else f"{device.threads} threads",
        n_threads=device.threads,
        networks=f"\nNetworks\n{titles}" if titles else "",
    ).encode()
    return _zipped(files)


def file_name(name: str) -> str:
    return f"networks/{name.replace(':', '-')}.onnx"


def _zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(f"kit/{name}", THE_SAME_DAY)
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
