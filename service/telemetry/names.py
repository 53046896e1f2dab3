"""The one registry of stages, spans, attributes and metrics (log events: `event_names.py`); no other is emitted.

HTTP, database and resource names follow the OpenTelemetry semantic conventions 1.44. The `gen_ai.*` names come from
1.41, the last release before they moved to their own repository; their Python constants are deprecated.
"""

from typing import Literal, TypeAlias

import msgspec

Value: TypeAlias = str | bool | int | float
SpanKind: TypeAlias = Literal["server", "client", "producer", "consumer", "internal"]
StageName: TypeAlias = Literal[
    "admission",
    "authenticate",
    "rate_limit",
    "embed",
    "pool_wait",
    "query",
    "copy",
    "encode",
    "send_task",
    "poll_tasks",
    "read_rows",
]

HTTP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
DB_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
STAGE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
GEN_AI_BUCKETS = tuple(0.01 * 2**step for step in range(14))
FRESHNESS_BUCKETS = (0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)
LAG_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128)


class Stage(msgspec.Struct, frozen=True):
    """One timed part of a request or task: the name of its span (`{attribute}` filled in), and in `Server-Timing`."""

    span: str
    kind: SpanKind
    timing: str
    help: str
    constants: dict[str, Value] = {}


class Span(msgspec.Struct, frozen=True):
    """A root span: one unit of work."""

    name: str
    kind: SpanKind
    help: str


class Attribute(msgspec.Struct, frozen=True):
    """An attribute of a span, and the field of the same name in the canonical log line."""

    name: str
    type: Literal["string", "int", "double", "boolean"]
    help: str


class Metric(msgspec.Struct, frozen=True):
    """A Prometheus metric; durations are seconds."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = ()


STAGES: dict[StageName, Stage] = {
    "admission": Stage("admission", "internal", "admission", "waiting for a place among the requests served at once"),
    "authenticate": Stage("authenticate", "internal", "auth", "checking the caller's credentials"),
    "rate_limit": Stage("rate_limit.take", "client", "quota", "asking the shared store for the caller's quota"),
    "embed": Stage(
        "embeddings {gen_ai.request.model}",
        "client",
        "embed",
        "the model turns text into vectors",
        {"gen_ai.operation.name": "embeddings"},
    ),
    "pool_wait": Stage("pool.acquire", "internal", "pool", "waiting for a database connection"),
    "query": Stage(
        "{db.query.summary}", "client", "db", "one SQL statement, named after it", {"db.system.name": "postgresql"}
    ),
    "copy": Stage(
        "{db.query.summary}",
        "client",
        "copy",
        "rows streamed out of the database, at the pace of their reader",
        {"db.system.name": "postgresql"},
    ),
    "encode": Stage("response.encode", "internal", "enc", "writing the answer as JSON"),
    "send_task": Stage(
        "send embed_queue",
        "producer",
        "send",
        "queueing an embedding task; the task links back to this span",
        {"messaging.system": "postgresql", "messaging.operation.type": "send"},
    ),
    "poll_tasks": Stage(
        "poll embed_queue",
        "client",
        "poll",
        "claiming tasks",
        {"messaging.system": "postgresql", "messaging.operation.type": "receive"},
    ),
    "read_rows": Stage("ingest.read", "internal", "read", "rows of a file read, cleaned and checked"),
}

SPANS = (
    Span("{http.request.method} {http.route}", "server", "a request; only the method where no route matched"),
    Span("ingest", "internal", "a file of postings taken in by the command; its batches are inside"),
    Span("ingest batch", "internal", "rows that are stored at once"),
    Span("process embed_queue", "consumer", "a batch of embedding tasks, linked to the requests that queued them"),
)

ATTRIBUTES = (
    Attribute("http.request.method", "string", "`_OTHER` for a method that HTTP does not define"),
    Attribute("http.request.method_original", "string", "the method as sent, where it is `_OTHER`"),
    Attribute("http.route", "string", "route template; absent on 404 and 405"),
    Attribute("http.response.status_code", "int", "499 when the client left before the answer was complete"),
    Attribute("http.response.body.size", "int", "bytes sent"),
    Attribute("url.path", "string", "path without the query, first 256 characters"),
    Attribute("url.scheme", "string", "http or https"),
    Attribute("server.address", "string", "host that took the call, or the path of its socket"),
    Attribute("server.port", "int", "port that took the call"),
    Attribute("client.address", "string", "address of the caller"),
    Attribute("client.port", "int", "port of the caller"),
    Attribute("network.protocol.version", "string", "HTTP version"),
    Attribute("user_agent.original", "string", "User-Agent, first 256 characters"),
    Attribute("user_agent.synthetic.type", "string", "`bot` or `test`"),
    Attribute("error.type", "string", "class of the exception, or the status of a 5xx"),
    Attribute("exception.type", "string", "class of an unhandled exception (event attribute)"),
    Attribute("exception.message", "string", "its message without secrets and what it quotes (event attribute)"),
    Attribute("exception.stacktrace", "string", "its stack, messages likewise (event attribute)"),
    Attribute("db.system.name", "string", "always `postgresql`"),
    Attribute("db.namespace", "string", "database and schema: `jobsense|public`"),
    Attribute("db.query.summary", "string", "the statement's name, a file in sql/queries: `search.search_hybrid`"),
    Attribute("db.response.status_code", "string", "SQLSTATE of a statement that failed"),
    Attribute("db.response.returned_rows", "int", "rows returned"),
    Attribute("gen_ai.operation.name", "string", "always `embeddings`"),
    Attribute("gen_ai.provider.name", "string", "`ollama` or `local`"),
    Attribute("gen_ai.request.model", "string", "model asked for"),
    Attribute("gen_ai.embeddings.dimension.count", "int", "length of a vector"),
    Attribute("gen_ai.usage.input_tokens", "int", "tokens of the input"),
    Attribute("jobsense.deprecated", "string", "deprecated headers, parameters or operations that were used"),
    Attribute("jobsense.embed.requests", "int", "requests that the call took, repeats included"),
    Attribute("jobsense.embed.texts", "int", "texts in the call"),
    Attribute("jobsense.embed.load_ms", "double", "time the model took to load: a cold model, not a slow one"),
    Attribute("jobsense.embed.ok", "int", "tasks of the batch that were stored"),
    Attribute("jobsense.embed.retried", "int", "tasks of the batch put back for later"),
    Attribute("jobsense.embed.failed", "int", "tasks of the batch set aside"),
    Attribute("jobsense.embed.cache", "string", "the vector of the query: hit, miss or shared (with an equal text)"),
    Attribute("jobsense.embed.late", "boolean", "the caller left first; the request to the model goes on"),
    Attribute("jobsense.ingest.rows", "int", "rows read from a file"),
    Attribute("jobsense.ingest.refused", "int", "rows that are no postings"),
    Attribute("jobsense.ingest.lag_ms", "double", "from writing a posting to finding it; on a batch the longest"),
    Attribute("jobsense.admission.limit", "int", "most requests served at once when this one came"),
    Attribute("jobsense.admission.in_flight", "int", "requests being served when this one came"),
    Attribute("jobsense.admission.queued", "int", "requests waiting when this one came"),
    Attribute("jobsense.embedding.model", "string", "model of the vectors that were used or made"),
    Attribute("jobsense.embedding.model_digest", "string", "digest of that model"),
    Attribute("jobsense.export.rows", "int", "postings that a complete export holds"),
    Attribute("jobsense.export.bytes", "int", "bytes that the database gave"),
    Attribute("jobsense.search.mode", "string", "mode served: hybrid, semantic, lexical, batch, match or similar"),
    Attribute("jobsense.search.k", "int", "results asked for"),
    Attribute("jobsense.search.results", "int", "results returned"),
    Attribute("jobsense.search.candidates", "int", "passages that the vector leg ranked"),
    Attribute("jobsense.search.filtered_out", "int", "passages that the filters refused, as the planner estimates"),
    Attribute("jobsense.search.index", "string", "how the vectors were looked through: exact or index"),
    Attribute("jobsense.search.ef_search", "int", "width of the scan by the index; absent on an exact one"),
    Attribute("jobsense.search.degraded", "boolean", "the answer lacks the semantic leg"),
    Attribute("jobsense.search.degraded_reason", "string", "why, from a closed set"),
    Attribute("jobsense.sampling.reason", "string", "why a trace was kept past its ratio: error, degraded or slow"),
    Attribute("jobsense.events.omitted", "int", "events past the 128 that one span keeps"),
    Attribute("jobsense.stages.omitted", "int", "stages past the 256 that one record keeps"),
    Attribute("jobsense.links.omitted", "int", "links past the 128 that one span keeps"),
    Attribute("messaging.system", "string", "`postgresql`: the queue is a table"),
    Attribute("messaging.operation.type", "string", "send, receive or process"),
    Attribute("messaging.message.id", "string", "posting whose text the task embeds (also on links)"),
    Attribute("messaging.batch.message_count", "int", "tasks in the batch"),
    *(Attribute(f"jobsense.stage.{stage}_ms", "double", f"milliseconds in `{stage}`, summed") for stage in STAGES),
)

METRICS = (
    Metric(
        "http_server_request_duration_seconds",
        "histogram",
        "Duration of requests.",
        ("method", "route", "status", "error_type"),
        "s",
        HTTP_BUCKETS,
    ),
    Metric("http_server_active_requests", "gauge", "Requests being served."),
    Metric(
        "db_client_operation_duration_seconds",
        "histogram",
        "Duration of SQL statements.",
        ("db_query_summary", "error_type"),
        "s",
        DB_BUCKETS,
    ),
    Metric("db_client_connection_count", "gauge", "Connections of the pool.", ("state",)),
    Metric("db_client_connection_max", "gauge", "Largest number of connections."),
    Metric("db_client_connection_pending_requests", "gauge", "Calls waiting for a connection."),
    Metric("db_client_connection_timeouts_total", "counter", "Calls that waited for a connection in vain."),
    Metric(
        "db_client_connection_wait_time_seconds", "histogram", "Wait for a connection.", unit="s", buckets=DB_BUCKETS
    ),
    Metric(
        "gen_ai_client_operation_duration_seconds",
        "histogram",
        "Duration of embedding calls.",
        ("model", "error_type"),
        "s",
        GEN_AI_BUCKETS,
    ),
    Metric(
        "jobsense_search_stage_duration_seconds",
        "histogram",
        "Time of a search in one stage, summed.",
        ("stage", "mode"),
        "s",
        STAGE_BUCKETS,
    ),
    Metric(
        "jobsense_search_total",
        "counter",
        "Searches by mode served (asked for, if failed) and outcome: ok, degraded, failed.",
        ("mode", "outcome"),
    ),
    Metric("jobsense_degraded_total", "counter", "Searches served without their semantic leg.", ("reason",)),
    Metric("jobsense_ingest_jobs_total", "counter", "Postings created, updated, unchanged or rejected.", ("outcome",)),
    Metric(
        "jobsense_idempotent_requests_total",
        "counter",
        "Requests with an idempotency key: first, replayed, in_progress, reused.",
        ("outcome",),
    ),
    Metric("jobsense_exports_active", "gauge", "Exports under way."),
    Metric(
        "jobsense_exports_total",
        "counter",
        "Exports: done, broken_off (by the reader, or a stop), failed, refused.",
        ("form", "outcome"),
    ),
    Metric("jobsense_embed_queue_depth", "gauge", "Embedding tasks by state.", ("state",)),
    Metric("jobsense_embed_queue_oldest_age_seconds", "gauge", "Age of the oldest task that is due.", unit="s"),
    Metric("jobsense_breaker_state", "gauge", "0 closed, 1 half open (a probe is out), 2 open.", ("dependency",)),
    Metric("jobsense_admission_limit", "gauge", "Most requests served at once now.", ("class",)),
    Metric(
        "jobsense_admission_rejected_total",
        "counter",
        "Requests turned away: line_full, waited_too_long, overloaded.",
        ("class", "reason"),
    ),
    Metric("jobsense_rate_limited_total", "counter", "Requests answered 429: search, write, read, auth.", ("class",)),
    Metric("jobsense_store_up", "gauge", "1 while calls are counted in the shared store, 0 while in this process."),
    Metric("jobsense_store_failures_total", "counter", "Calls of the store that failed, by why.", ("reason",)),
    Metric("jobsense_deprecated_total", "counter", "Uses of what is deprecated.", ("operation", "what")),
    Metric("jobsense_embed_batch_size", "histogram", "Tasks in a batch.", buckets=BATCH_BUCKETS),
    Metric("jobsense_query_cache_total", "counter", "Query vectors by hit, miss, shared.", ("result",)),
    Metric("jobsense_query_cache_entries", "gauge", "Query vectors that are remembered."),
    Metric("jobsense_query_call_texts", "histogram", "Texts that share a call for queries.", buckets=BATCH_BUCKETS),
    Metric("jobsense_embed_items_total", "counter", "Embedding tasks done, by outcome.", ("outcome",)),
    Metric(
        "jobsense_ingest_to_searchable_seconds",
        "histogram",
        "From writing a posting to finding it.",
        unit="s",
        buckets=FRESHNESS_BUCKETS,
    ),
    Metric("jobsense_sign_ins_total", "counter", "Sign-ins with a password: ok, refused.", ("outcome",)),
    Metric("jobsense_refreshes_total", "counter", "Refresh tokens taken: ok, refused, reused.", ("outcome",)),
    Metric("jobsense_rates_fetches_total", "counter", "Fetches of exchange rates: ok, or why not.", ("outcome",)),
    Metric("jobsense_rates_newest_timestamp_seconds", "gauge", "When the newest exchange rate is from."),
    Metric(
        "jobsense_event_loop_lag_seconds",
        "histogram",
        "How late the event loop does what is due; looked at ten times a second.",
        unit="s",
        buckets=LAG_BUCKETS,
    ),
    Metric("jobsense_telemetry_spans_total", "counter", "Spans created, exported, failed, dropped.", ("result",)),
    Metric("jobsense_build_info", "gauge", "Always 1; the labels say what runs.", ("version", "revision")),
)

ATTRIBUTE_BY_KEY: dict[str, str] = {key: a.name for a in ATTRIBUTES for key in (a.name, a.name.replace(".", "_"))}
"""Attribute names by themselves and by their spelling as a keyword: `db_query_summary` is `db.query.summary`."""
