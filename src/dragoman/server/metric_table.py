"""Every metric of the server: name, kind, labels, meaning. The page `docs/metrics.md` is made from it.

Who counts where is said in the modules that import a name from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds of histograms of what should take a moment, in seconds."""

LONG = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 86400.0)
"""Bounds of histograms of what may wait for models and humans."""


MODEL = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""Bounds of histograms of requests to models, in seconds; these and the next are those of OpenTelemetry's conventions."""

MANY = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
"""Bounds of histograms of tokens."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; `question` is the one that it helps to answer."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    question: Literal["healthy", "slow", "full"]
    text: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = QUICK


INFO = "dragoman_info"
UPTIME = "dragoman_uptime_seconds"
REQUESTS = "dragoman_http_requests_total"
LATENCY = "dragoman_http_request_seconds"
REFUSED = "dragoman_refused_total"
REQUESTS_OPEN = "dragoman_requests_open"
REQUESTS_LIMIT = "dragoman_requests_limit"
STREAMS_OPEN = "dragoman_streams_open"
STREAMS_LIMIT = "dragoman_streams_limit"
RUNS = "dragoman_runs"
OLDEST = "dragoman_oldest_run_seconds"
RUNS_MOVING = "dragoman_runs_moving"
RUNS_LIMIT = "dragoman_runs_limit"
JOBS_WAITING = "dragoman_jobs_waiting"
JOBS_LIMIT = "dragoman_jobs_limit"
JOBS_RUNNING = "dragoman_jobs_running"
JOBS_WORKERS = "dragoman_jobs_workers"
JOB_WAIT = "dragoman_job_wait_seconds"
RUNS_STARTED = "dragoman_runs_started_total"
RUNS_ENDED = "dragoman_runs_ended_total"
RUN_SECONDS = "dragoman_run_seconds"
FIRST_EVENT = "dragoman_run_first_output_seconds"
TOKENS = "dragoman_tokens_total"
EVENTS = "dragoman_events_total"
COMMITS = "dragoman_commits_total"
COMMIT_SECONDS = "dragoman_commit_seconds"
WAITING = "dragoman_store_waiting"
DATABASE_BYTES = "dragoman_database_bytes"
WAL_BYTES = "dragoman_wal_bytes"
DISK_FREE = "dragoman_disk_free_bytes"
SWEEPS = "dragoman_sweeps_total"
SWEPT = "dragoman_swept_total"
SWEEP_SECONDS = "dragoman_sweep_seconds"
SWEEP_AGE = "dragoman_sweep_age_seconds"
MODEL_SECONDS = "gen_ai_client_operation_duration_seconds"
MODEL_FIRST = "gen_ai_client_operation_time_to_first_chunk_seconds"
MODEL_TOKENS = "gen_ai_client_token_usage"
MODEL_RETRIES = "dragoman_model_retries_total"
MODEL_WAITED = "dragoman_model_rate_limit_wait_seconds_total"
MODEL_CIRCUITS = "dragoman_model_circuit_opens_total"
MODEL_COST = "dragoman_model_cost_usd_total"
MODEL_OPEN = "dragoman_model_requests_open"

_MODEL = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")
_PAIR = ("provider", "model")

_ALL = (
    Metric(INFO, "gauge", "healthy", "Always 1; what is served, by which version.", ("app", "version")),
    Metric(UPTIME, "gauge", "healthy", "Seconds since the server started."),
    Metric(
        REQUESTS, "counter", "healthy", "Requests answered; a stream counts when it ends.", ("face", "method", "status")
    ),
    Metric(REFUSED, "counter", "full", "Requests refused with 413, 429 or 503, by the error's code.", ("reason",)),
    Metric(RUNS_STARTED, "counter", "healthy", "Runs accepted.", ("face",)),
    Metric(RUNS_ENDED, "counter", "healthy", "Runs that ended, by their last state.", ("state",)),
    Metric(
        COMMITS,
        "counter",
        "healthy",
        "Transactions; refused ones found another state or a disk that fails.",
        ("outcome",),
    ),
    Metric(SWEEPS, "counter", "healthy", "Passes of the sweeper.", ("outcome",)),
    Metric(SWEEP_AGE, "gauge", "healthy", "Seconds since the last whole pass of the sweeper, or since the start."),
    Metric(OLDEST, "gauge", "healthy", "Age of the oldest run that has not ended; 0 if there is none.", ("state",)),
    Metric(LATENCY, "histogram", "slow", "Time to the answer; of a stream, to its head.", ("face",)),
    Metric(FIRST_EVENT, "histogram", "slow", "Time from the acceptance of a run to its first output.", (), LONG),
    Metric(
        RUN_SECONDS, "histogram", "slow", "Time from acceptance to end, waiting for humans included.", ("state",), LONG
    ),
    Metric(JOB_WAIT, "histogram", "slow", "Time from the acceptance of a job to its begin.", (), LONG),
    Metric(COMMIT_SECONDS, "histogram", "slow", "Time from the request for a transaction to its end."),
    Metric(SWEEP_SECONDS, "histogram", "slow", "Time that a pass of the sweeper took.", (), LONG),
    Metric(
        MODEL_SECONDS,
        "histogram",
        "slow",
        "Time of a request to a provider's model, retries included.",
        (*_MODEL, "error_type"),
        MODEL,
    ),
    Metric(MODEL_FIRST, "histogram", "slow", "Time to the first output of a model's stream.", _MODEL, MODEL),
    Metric(MODEL_TOKENS, "histogram", "full", "Tokens of a request.", (*_MODEL, "gen_ai_token_type"), MANY),
    Metric(MODEL_COST, "counter", "full", "US dollars that requests cost, where it is known.", _PAIR),
    Metric(MODEL_OPEN, "gauge", "full", "Requests to models that are under way.", _PAIR),
    Metric(MODEL_RETRIES, "counter", "healthy", "Further attempts at requests to models.", _PAIR),
    Metric(MODEL_CIRCUITS, "counter", "healthy", "How often a circuit breaker of a model opened.", _PAIR),
    Metric(MODEL_WAITED, "counter", "slow", "Seconds that requests waited for a model's rate limit.", _PAIR),
    Metric(
        TOKENS,
        "counter",
        "full",
        "Tokens that models counted, and as `…_estimated` those of answers that were cut before they were counted.",
        ("kind",),
    ),
    Metric(EVENTS, "counter", "full", "Events committed to the journal.", ("type",)),
    Metric(RUNS, "gauge", "full", "Runs that have not ended.", ("state",)),
    Metric(RUNS_MOVING, "gauge", "full", "Runs that this process executes now."),
    Metric(RUNS_LIMIT, "gauge", "full", "The setting `limits.runs`."),
    Metric(JOBS_WAITING, "gauge", "full", "Jobs that wait in the queue."),
    Metric(JOBS_LIMIT, "gauge", "full", "The setting `jobs.queue`."),
    Metric(JOBS_RUNNING, "gauge", "full", "Jobs that workers execute now."),
    Metric(JOBS_WORKERS, "gauge", "full", "The setting `jobs.workers`."),
    Metric(REQUESTS_OPEN, "gauge", "full", "Requests that are being handled; streams not counted."),
    Metric(REQUESTS_LIMIT, "gauge", "full", "The setting `limits.requests`."),
    Metric(STREAMS_OPEN, "gauge", "full", "Open streams."),
    Metric(STREAMS_LIMIT, "gauge", "full", "The setting `limits.streams`."),
    Metric(WAITING, "gauge", "full", "Transactions that wait for the writer."),
    Metric(DATABASE_BYTES, "gauge", "full", "Size of the database file."),
    Metric(WAL_BYTES, "gauge", "full", "Size of the write-ahead log; a few MB while all is well."),
    Metric(DISK_FREE, "gauge", "full", "Room on the disk of the data directory."),
    Metric(SWEPT, "counter", "full", "Rows that the sweeper deleted.", ("kind",)),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
