"""One job at work: its folder and request, with the model, the data and the layout read on demand."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from compression import technique
from compression.answer_forms import form_of
from compression.building import Workbench
from compression.cost import load_device
from compression.data import (
    labelled_output,
    load_data,
    smooth_noise,
    synthetic_count,
    synthetic_data,
)
from compression.matched_inputs import Matching, can_match, matched, spectral_noise
from compression.onnx_export import export_onnx
from compression.onnx_import import import_onnx
from compression.preprocessing import Preprocessing
from compression.student import training_device
from compression.types import Stage
from selector.effort import Activations, Effort, effort_for
from selector.errors import BadRequestError
from selector.layout import Layout, lay_out
from selector.plan import counts_for_gpu
from selector.tables import PRECISIONS, StudyTables

if TYPE_CHECKING:
    from compression.answer_forms import AnswerForm
    from compression.cost import DeviceProfile
    from compression.data import Dataset
    from compression.graph import Network
    from selector.jobfolder import JobFolder
    from selector.reporter import Reporter
    from selector.request import Request

TRAINING_TARGETS = ("this-host", "redmi-3s", "rpi4")
"""The devices every agent is trained on, whatever the catalogue holds."""


class Job:
    """What every stage needs; nothing is read before it is asked for.

    Attributes:
        folder: where results are read and written.
        request: what was asked for.
        reporter: where progress goes.
    """

    def __init__(self, folder: JobFolder, request: Request, reporter: Reporter) -> None:
        self.folder = folder
        self.request = request
        self.reporter = reporter

    @cached_property
    def model_bytes(self) -> bytes:
        """The uploaded file."""
        try:
            return self.request.model.read_bytes()
        except OSError as error:
            raise BadRequestError(
                f"The model {self.request.model.name} cannot be read: {error.strerror}."
            ) from error

    @cached_property
    def model_sha256(self) -> str:
        """Hash of the uploaded file."""
        return hashlib.sha256(self.model_bytes).hexdigest()

    @cached_property
    def network(self) -> Network:
        """The imported original; of several outputs it is known which one the labels are about."""
        network = import_onnx(self.model_bytes, name=self.request.model.stem)
        parts = form_of(network.profile).parts
        if len(parts) == 1 or self.request.data is None:
            return network
        judged = labelled_output(self.request.data, parts)
        return replace(network, profile=replace(network.profile, judged_output=judged))

    @cached_property
    def form(self) -> AnswerForm:
        """How the outputs of the network are read."""
        return form_of(self.network.profile)

    @cached_property
    def dataset(self) -> Dataset:
        """The four splits, preprocessed as INSPECT found right."""
        self.folder.require(Stage.INSPECT)
        values = self.folder.read_json(Stage.INSPECT, "preprocessing.json")
        return self.load_dataset(Preprocessing.from_json(values))

    def load_dataset(self, preprocessing: Preprocessing | None) -> Dataset:
        """The four splits under that preprocessing; made up where no data was given."""
        shape, seed = self.network.profile.input_shape, self.request.seed
        classes = self.form.n_classes
        if self.request.data is None:
            return synthetic_data(shape, classes, seed=seed, inputs=self._made_up())
        try:
            return load_data(
                self.request.data,
                shape,
                classes,
                preprocessing,
                seed=seed,
                label_shape=self.form.label_shape,
            )
        except FileNotFoundError as error:
            raise BadRequestError(
                f"The data {self.request.data.name} does not exist."
            ) from error

    def _made_up(self) -> np.ndarray:
        """Inputs made for a model without data, once for all stages."""
        path = self.folder.stage_path(Stage.INSPECT, "inputs.npy")
        if not path.is_file():
            inputs = self._matched()
            self.folder.write_with(Stage.INSPECT, path.name, partial(np.save, arr=inputs))
        found: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        return found

    def _matched(self) -> np.ndarray:
        shape, seed = self.network.profile.input_shape, self.request.seed
        count = synthetic_count(shape, self.effort.synthetic_inputs)
        if not can_match(self.network):
            return smooth_noise(shape, count, seed=seed)
        start = spectral_noise(count, shape, seed)
        self.reporter.log(
            f"No data: {len(start):,} inputs are made that the original answers surely."
        )

        def keep_on(done: int, total: int) -> bool:
            self.reporter.progress(done, 10 * total)
            return not self.reporter.ends_early()

        return matched(self.network, start, Matching(seed=seed), keep_on)

    @cached_property
    def calibration(self) -> np.ndarray:
        """The calibration examples, model-ready."""
        return self.dataset.calibration.take(self.effort.calibration_samples).x

    @cached_property
    def file_bytes(self) -> tuple[int, ...]:
        """What the original takes as a file in each of ``PRECISIONS``."""
        networks = (replace(self.network, precision=precision) for precision in PRECISIONS)
        return tuple(len(export_onnx(network, self.calibration)) for network in networks)

    @cached_property
    def workbench(self) -> Workbench:
        """Builds recipes on the original, fitted to the calibration examples."""
        return Workbench.of(self.network, self.calibration)

    @cached_property
    def techniques(self) -> tuple[str, ...]:
        """The techniques the request allows."""
        return technique.names() if self.request.techniques is None else self.request.techniques

    @cached_property
    def layout(self) -> Layout:
        """The decisions the network offers under those techniques."""
        return lay_out(self.network.profile, self.techniques, self.effort.probes)

    @cached_property
    def effort(self) -> Effort:
        """How much work each stage may do."""
        request, profile = self.request, self.network.profile
        held = Activations(
            largest=profile.largest_output,
            together=profile.outputs_together,
            example=max(map(math.prod, (profile.input_shape, *profile.output_shapes))),
        )
        return effort_for(
            profile.macs, request.time_limit_s, request.threads, held, gpu=self.on_gpu
        )

    @cached_property
    def on_gpu(self) -> bool:
        """Whether fine-tuning is counted for a GPU: once INSPECT is done, as it found."""
        if self.folder.is_done(Stage.INSPECT):
            return counts_for_gpu(self.folder)
        return training_device(self.network).type == "cuda"

    @property
    def target(self) -> DeviceProfile:
        """The device that the request names."""
        return self.request.device

    @property
    def targets(self) -> tuple[DeviceProfile, ...]:
        """What the agent is trained on: some devices that differ, and the one that is asked for.

        It answers for any other too, so that the size of the catalogue costs a study nothing.
        """
        usual = [load_device(name) for name in TRAINING_TARGETS]
        return tuple(dict.fromkeys([*usual, self.target]))

    @cached_property
    def tables(self) -> StudyTables:
        """What PROBE measured."""
        self.folder.require(Stage.PROBE)
        return StudyTables.load(self.folder.stage_path(Stage.PROBE, "tables.npz"))
