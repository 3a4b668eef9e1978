"""What goes in and comes out. What is named here stays so within a version; answers may gain fields."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from selector.request import SELECTORS, USUAL
from webapp.jobs.models import JobKind, JobState


class Answer(BaseModel):
    model_config = ConfigDict(extra="allow")


class Question(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ErrorText(Answer):
    message: str = Field(description="a sentence: what is wrong, where, what would do")
    code: str = Field(description="a word for programs")


class Error(Answer):
    error: ErrorText


class Upload(Answer):
    id: UUID
    kind: Literal["model", "data"]
    name: str
    size_bytes: int
    sha256: str


class NewTransfer(Question):
    """A file that will come in chunks. ``sha256`` or ``fingerprint`` finds it again after an interruption."""

    kind: Literal["model", "data"]
    name: str = Field(default="", description="the file's name, for people")
    size_bytes: int = Field(ge=0)
    sha256: str = Field(
        default="",
        pattern="^([0-9a-fA-F]{64})?$",
        description="of the whole file; what has come is held against it at the end",
    )
    fingerprint: str = Field(
        default="",
        max_length=200,
        description="whatever tells the file from others where hashing all of it takes too long",
    )


class Transfer(Answer):
    id: UUID
    kind: Literal["model", "data"]
    name: str
    size_bytes: int
    received_bytes: int = Field(description="where the next chunk begins")
    chunk_bytes: int = Field(description="a good size for a chunk; twice as much is the most")
    upload: UUID | None = Field(description="the upload that it became")
    expires: str = Field(description="when it is given up unless more comes")


class Transfers(Answer):
    transfers: list[Transfer]


class Reached(Answer):
    """What a finished build reached, measured; ratios say how many times less than the original."""

    latency_ratio: float
    size_ratio: float
    accuracy_points: float = Field(description="change of accuracy, in percentage points")


class JobName(Answer):
    id: UUID


class Project(Answer):
    id: UUID
    name: str
    data_name: str | None
    state: str = Field(description="of its newest job; ready: the study is done")
    stage: str
    done: float | None = Field(description="share of the stages, 0 to 1")
    message: str
    updated: str
    size_bytes: int
    job: JobName | None
    best: Reached | None


class Projects(Answer):
    projects: list[Project]


class Preprocessing(Question):
    """(x / divide - mean) / std, after the channel axis moved to the front. Empty: guessed anew."""

    layout: str | None = Field(default=None, description="NCHW, NHWC, NHW, NCT, NTC, NT or N*")
    divide: float | None = None
    mean: list[float] | None = None
    std: list[float] | None = None


class ProjectChoices(Question):
    data: UUID | None = Field(
        default=None, description="id of uploaded data; without, it is made up"
    )
    name: str = Field(default="", max_length=200)
    preprocessing: Preprocessing | None = None


class NewProject(ProjectChoices):
    model: UUID = Field(description="id of an uploaded model")


class Goals(Question):
    """Four weights; only their shares count. One that is not named counts as 0."""

    accuracy: float = 0.0
    latency: float = 0.0
    energy: float = 0.0
    storage: float = 0.0


class Budgets(Question):
    """Limits; null means none."""

    max_accuracy_drop: float | None = Field(default=None, description="percentage points")
    max_latency_ms: float | None = None
    max_energy_mj: float | None = None
    max_size_bytes: float | None = Field(default=None, description="of the file")


class Wanted(Question):
    goals: Goals = Goals()
    budgets: Budgets = Budgets()
    target: str = Field(default="this-host", description="name of a device")
    locks: dict[str, Any] = Field(
        default_factory=dict,
        description='by layer: "keep", {"technique": …, "params": {}}, {"exclude": [ … ]} or, for all that is done '
        'to the layer itself, {"treatments": {technique: params}}',
    )

    def said(self) -> dict[str, Any]:
        """What the request names; the services know what holds for the rest."""
        return self.model_dump(exclude_unset=True)


class Choice(Wanted):
    config: list[int] | None = Field(
        default=None,
        description="a candidate's config, to ask for that one instead of the best",
    )


class NewBuild(Choice):
    measure_on_device: bool = Field(
        default=False,
        description="whether the device, if it is one of yours and connected, measures the result",
    )
    again: bool = Field(
        default=False,
        description="whether to build it once more where an equal build is there already",
    )
    selector: str = Field(
        default=USUAL,
        description="who chooses the recipe; but dqn, which recommends, they find it during the build and take no "
        "config",
        json_schema_extra={"enum": list(SELECTORS)},
    )
    classic: dict[str, Any] = Field(
        default_factory=dict,
        description='switches of the selector classic, AdaDeep as published: {"view": "analytic (paper)"} counts '
        "as the paper does",
    )


class Settings(Answer):
    goals: dict[str, float]
    budgets: dict[str, float | None]
    target: str
    locks: dict[str, Any]


class Selection(Answer):
    config: list[int]
    prediction: dict[str, Any]
    layers: list[dict[str, Any]] = Field(
        description="in order: technique, params and level, numbers before and after, and why; what undoing it would "
        "change, and the best alternatives, whose params, as treatments of a lock, take them"
    )
    first_look_gap: float | None = Field(
        default=None,
        description="how far what sliders show at once stays behind this answer, as a share of what compression "
        "wins; null for a recipe that was picked, and where no recipe keeps all limits",
    )


class ChosenBy(Answer):
    name: str = Field(description="as a build is asked for")
    title: str


class Build(Answer):
    id: UUID
    state: JobState
    stage: str
    target: str
    selector: ChosenBy
    created: str
    best: Reached | None


class Builds(Answer):
    builds: list[Build]


class TimeLeft(Answer):
    low_s: float
    high_s: float


class StageState(Answer):
    stage: str
    state: str
    seconds: float | None
    detail: str
    eta: TimeLeft | None = Field(
        description="of a stage that is not done, while the job goes on"
    )


class File(Answer):
    name: str
    size_bytes: int
    sha256: str
    format: str
    primary: bool = Field(description="the model that the report's figures are about")


class Job(Answer):
    id: UUID
    kind: JobKind
    state: JobState
    stage: str
    stages: list[StageState]
    eta: TimeLeft | None
    message: str
    selector: ChosenBy | None = Field(
        description="who chooses a build's recipe; null of a study"
    )
    queue_position: int | None
    starts_in: TimeLeft | None = Field(description="of a job that waits")
    last_seq: int = Field(description="number of the newest event")
    created: str
    started: str | None
    finished: str | None
    best: dict[str, Any] | None
    artifacts: list[File]


class AskedBuild(Job):
    note: str = Field(description="a sentence, where an equal build was there; else empty")


class NewShare(Question):
    days: Literal[1, 7, 30] = Field(default=7, description="until the link ends")
    with_files: bool = Field(
        default=False, description="whether readers may download the files"
    )


class Share(Answer):
    id: UUID
    url: str = Field(description="path of the page, without the host")
    with_files: bool
    expires: str


class Shares(Answer):
    shares: list[Share]


class Event(Answer):
    seq: int = Field(description="numbered from 1 without a gap")
    t: str
    stage: str
    kind: str
    data: dict[str, Any]
    done: float | None
    total: float | None
    eta_s: float | None


class Events(Answer):
    events: list[Event]
    job: Job


class Sample(Answer):
    name: str
    title: str
    text: str


class Samples(Answer):
    samples: list[Sample]


# Not a tuple: its JSON Schema is none that OpenAPI's tools read.
Band = Annotated[list[float], Field(min_length=2, max_length=2, description="low, high")]


class Device(Answer):
    name: str
    title: str
    family: str
    paper: bool = Field(description="one of the devices of AdaDeep's own evaluation")
    ram_mb: float = Field(description="0 where unknown")
    label: str
    band: Band
    energy_label: str
    energy_band: Band


class Devices(Answer):
    targets: list[Device]


class Evidence(Answer):
    """A network timed on a device; ``before_ms`` is what was predicted before one's own was calibrated."""

    name: str
    measured_ms: float
    predicted_ms: float = Field(description="while the network was hidden from the fit")


class DeviceFigure(Answer):
    name: str
    value: str
    source: str


class DeviceEvidence(Answer):
    band: Band = Field(description="of the predictions: between which factors the truth lies")
    rows: list[Evidence]
    figures: list[DeviceFigure] = Field(description="all that are known, and from where")


class NamedBuild(Answer):
    name: str = Field(description="its id: a side of a comparison")
    title: str


class ComparableProject(Answer):
    id: UUID
    name: str
    target: str = Field(description="the device that was chosen for it")
    builds: list[NamedBuild]


class ComparableDevice(Answer):
    name: str
    title: str
    family: str


class ComparisonChoices(Answer):
    projects: list[ComparableProject] = Field(description="those that can be asked for recipes")
    devices: list[ComparableDevice]


class Usage(Answer):
    used_bytes: int = Field(description="of uploads and jobs; what is kept once counts once")
    coming_bytes: int = Field(description="announced by uploads on their way, not sent yet")
    quota_bytes: int | None = Field(description="the most that you may use")
    retention_days: int | None = Field(
        description="how long a project is kept that nobody touches"
    )
