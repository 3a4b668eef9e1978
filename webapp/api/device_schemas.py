"""What goes in and comes out about users' own devices."""

from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from webapp.agents.models import TaskKind, TaskState
from webapp.api.schemas import Answer, Band, Device, Question


class NewDevice(Question):
    title: str
    prior: str = Field(description="name of the device of the catalogue that it starts from")
    runtime: str
    threads: int = 1
    arithmetic: str = Field(default="fp32", description="fp32, fp16 or int8")
    means: str = Field(default="kit", description="browser, agent or kit")


class DeviceSettings(Question):
    title: str | None = None
    shared: bool | None = None


class OwnDevice(Answer):
    id: UUID
    name: str = Field(description="its name as a target, once it was measured")
    title: str
    prior: str
    runtime: str
    threads: int
    arithmetic: str
    means: str
    shared: bool
    mine: bool
    created: str
    measured: str | None
    measurements: int
    label: str | None
    band: Band | None


class OwnDevices(Answer):
    devices: list[OwnDevice]


class TimedRuns(Question):
    name: str
    runs_ms: list[Any] = Field(description="milliseconds of every run after the warm-up")


class Delivery(Question):
    runs: list[TimedRuns]
    environment: dict[str, Any] = Field(default_factory=dict, description="where it ran")


class Outcome(Answer):
    used: list[dict[str, Any]] = Field(
        description="what of this delivery counts, predicted before and after calibrating"
    )
    refused: dict[str, str] = Field(description="names that were set aside, with the reason")
    error_before: float | None = Field(description="half were off by at most that share")
    error_after: float | None


class Measurements(Answer):
    measurements: list[dict[str, Any]]


class Network(Answer):
    name: str
    title: str


class Networks(Answer):
    networks: list[Network]


class Reachable(Answer):
    state: Literal["none", "offline", "idle", "busy"]
    text: str = Field(description="the same in words")


class ConnectedDevice(Reachable):
    id: UUID
    key: str = Field(description="its name as a target")
    title: str


class ConnectedDevices(Answer):
    devices: list[ConnectedDevice]


class Spread(Answer):
    p10: float
    p50: float
    p90: float


class Pair(Answer):
    """Original and result of a build, timed in turns."""

    original_ms: Spread
    result_ms: Spread
    rounds: int
    ratio: float = Field(description="how many times faster the result is")
    ratio_ci: Band


class Power(Answer):
    source: str
    run_mj: float = Field(description="energy of one run")
    above_rest_w: float


class DeviceTask(Answer):
    id: UUID
    kind: TaskKind
    title: str
    state: TaskState
    is_open: bool = Field(description="whether it waits, or is being measured")
    message: str = Field(description="what a person should know of it")
    created: str
    finished: str | None
    pair: Pair | None = Field(description="of a build that was measured")
    threads_ms: dict[str, float] = Field(
        description="of a calibration: what more threads bring"
    )
    power: list[Power] = Field(description="of each network, where the device tells it")


class Agent(Reachable):
    seen: str | None = Field(description="when it asked for work last")
    facts: dict[str, Any] = Field(description="what it said of itself")
    tasks: list[DeviceTask] = Field(description="the newest first")


class NewAgent(Agent):
    token: str = Field(description="for the agent alone; it cannot be read again")
    commands: list[str] = Field(description="to run on the device, one after the other")


class BuildTask(DeviceTask):
    device: str = Field(description="its title")
    device_id: UUID
    device_state: Reachable


class MeasuredBuild(Answer):
    tasks: list[BuildTask] = Field(description="the newest of each device")
    devices: list[ConnectedDevice] = Field(description="those that can be asked")


class NamedDevice(Reachable):
    title: str


class FinalistsTask(DeviceTask):
    device_state: Reachable


class Finalist(Answer):
    """A network of a study on a device: what was predicted before it was timed, and what it took."""

    title: str
    predicted_ms: float
    predicted_band_ms: Band
    measured_ms: Spread
    inside: bool = Field(description="whether the median lies within the band")


class Finalists(Answer):
    device: NamedDevice
    count: int = Field(description="candidates that can be measured")
    task: FinalistsTask | None = Field(description="the newest one")
    rows: list[Finalist] = Field(description="the original first; none before it has measured")


class Link(Answer):
    address: str = Field(description="by which other devices find this server")
    url: str
    qr: str = Field(description="the same as a picture: SVG")


class Links(Answer):
    links: list[Link] = Field(description="one for each address; all are the same link")


class NetworkFile(Network):
    size_bytes: int


class NetworkFiles(Answer):
    networks: list[NetworkFile]


class BrowserDelivery(Delivery):
    title: str = Field(description="what browser and device are called")
    prior: str = Field(description="name of the device of the catalogue that it starts from")
    threads: int
    backend: str = Field(default="wasm", description="wasm or webgpu")


class MeasuredBrowser(Answer):
    device: Device
    url: str = Field(description="path of its page, without the host")
    rows: list[dict[str, Any]] = Field(description="predicted before and after calibrating")
    refused: dict[str, str] = Field(description="names that were set aside, with the reason")
    error_before: float = Field(description="half were off by at most that share")
    error_after: float
