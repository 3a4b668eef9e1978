"""The jobs in numbers for Prometheus. The database is the truth, so every web process answers alike."""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db.models import Count, Sum
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from compression.types import Stage
from webapp.jobs.models import Job, JobKind, JobState
from webapp.jobs.workers import QUEUES, answering

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

BUCKETS_S = (1, 3, 10, 30, 100, 300, 1000, 3000, 10000)
QUICK, ENGINE = QUEUES


def metrics_text() -> bytes:
    """All metrics in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(JobCollector())
    return generate_latest(registry)


class JobCollector(Collector):
    """Asks the database at each scrape; nothing is counted in a process."""

    def collect(self) -> Iterator[Metric]:
        yield _jobs()
        yield from _queues()
        yield from _stages()
        yield _workers()
        free = shutil.disk_usage(settings.ADADEEP_HOME).free
        yield GaugeMetricFamily("adadeep_free_bytes", "Free space for files", value=free)


def _jobs() -> Metric:
    family = GaugeMetricFamily(
        "adadeep_jobs", "Jobs by kind and state", labels=["kind", "state"]
    )
    rows = Job.objects.values_list("kind", "state").annotate(n=Count("pk"))
    found = {(kind, state): n for kind, state, n in rows}
    for kind in JobKind:
        for state in JobState:
            family.add_metric([kind, state], found.get((kind, state), 0))
    return family


def _queues() -> Iterator[Metric]:
    waiting = Job.objects.filter(state=JobState.QUEUED).values_list("kind", "stages", "queued")
    lengths: Counter[str] = Counter()
    oldest: dict[str, Any] = {}
    for kind, stages, queued in waiting:
        queue = _queue(kind, stages)
        lengths[queue] += 1
        oldest[queue] = min(queued, oldest.get(queue, queued))
    length = GaugeMetricFamily("adadeep_queue_jobs", "Jobs that wait", labels=["queue"])
    age = GaugeMetricFamily(
        "adadeep_queue_oldest_seconds", "Longest wait now", labels=["queue"]
    )
    for queue in QUEUES:
        length.add_metric([queue], lengths[queue])
        waits = (timezone.now() - oldest[queue]).total_seconds() if queue in oldest else 0.0
        age.add_metric([queue], waits)
    yield from (length, age)


def _queue(kind: str, stages: dict[str, Any]) -> str:
    is_inspected = stages.get(Stage.INSPECT, {}).get("state") == "done"
    return QUICK if kind == JobKind.STUDY and not is_inspected else ENGINE


def _stages() -> Iterator[Metric]:
    """What the jobs that are kept took, and where those that failed did."""
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    for stages in Job.objects.values_list("stages", flat=True).iterator():
        for stage, note in stages.items():
            if note.get("seconds") is not None:
                seconds[stage].append(float(note["seconds"]))
    family = HistogramMetricFamily(
        "adadeep_stage_seconds", "Duration of finished stages", labels=["stage"]
    )
    for stage in Stage:
        values = seconds[stage]
        buckets = [(str(float(most)), sum(v <= most for v in values)) for most in BUCKETS_S]
        family.add_metric([stage], [*buckets, ("+Inf", len(values))], sum(values))
    yield family
    failed = GaugeMetricFamily("adadeep_failed_jobs", "Failed jobs by stage", labels=["stage"])
    rows = Job.objects.filter(state=JobState.FAILED).values_list("stage")
    for stage, number in rows.annotate(n=Count("pk")):
        failed.add_metric([stage], number)
    yield failed
    lost = Job.objects.aggregate(n=Sum("lost"))["n"] or 0
    yield GaugeMetricFamily(
        "adadeep_lost_attempts", "Attempts whose worker went silent", value=lost
    )


def _workers() -> Metric:
    family = GaugeMetricFamily(
        "adadeep_worker_answers", "1 if the queue has a worker", labels=["queue"]
    )
    for queue in QUEUES:
        family.add_metric([queue], float(answering(queue)))
    return family
