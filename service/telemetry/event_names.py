"""The one registry of log events; no other name is logged."""

from typing import Literal

import msgspec


class Event(msgspec.Struct, frozen=True):
    """A log event; its name is part of the contract with operators."""

    name: str
    level: Literal["debug", "info", "warning", "error"]
    help: str


EVENTS = (
    Event("http.request", "info", "one line for each request; error on 5xx, debug on health and metrics"),
    Event(
        "http.refused", "info", "a connection was ended for what came over it; it was no request, or too large a head"
    ),
    Event("http.reader_stalled", "warning", "a client that took nothing of a stream for too long was cut off"),
    Event("task.done", "info", "one line for each unit of work outside a request"),
    Event("embed.batch", "info", "one line for each batch of embedding tasks"),
    Event("ingest.done", "info", "a file was taken in"),
    Event("ingest.batch", "debug", "a batch of its rows was stored"),
    Event("embed.failed", "warning", "a posting was set aside; the reason says why"),
    Event("embed.waiting", "debug", "nothing is embedded for want of an embedder; the reason says why"),
    Event("embed.not_given_back", "warning", "tasks could not be given back; their lease lapses"),
    Event("embed.lease_not_renewed", "warning", "a lease could not be renewed; tried again before it lapses"),
    Event("embed.suspect", "warning", "a text failed alone while others went through; it is tried a few times more"),
    Event("embed.model_reloaded", "warning", "the model gave bad vectors and was unloaded and loaded again"),
    Event("lane.failed", "warning", "processes cannot take turns at a model server for a fault of ours; each goes on"),
    Event("breaker.changed", "warning", "queries are no longer, or again, sent to the embedder; info when closed"),
    Event("admission.overloaded", "warning", "requests are turned away: more come than can be served"),
    Event("admission.recovered", "info", "in a second fewer were turned away than may wait in line"),
    Event("store.lost", "warning", "the shared store does not answer; each process counts calls by itself meanwhile"),
    Event("store.back", "info", "calls are counted in the shared store again"),
    Event("embedder.chosen", "info", "the model of the first generation was chosen; warning when not the first choice"),
    Event("embedder.absent", "warning", "queries and postings cannot be embedded; the reason says why"),
    Event("embedder.back", "info", "they can be embedded again"),
    Event("loop.failed", "warning", "a background loop failed; it goes on after a pause"),
    Event("embedded.ready", "info", "the embedded database was created, started or joined"),
    Event("embedded.left", "info", "it is no longer used here; the last process to leave stops it"),
    Event("embedded.died", "warning", "its server is gone and is started again"),
    Event("embedded.not_started", "warning", "that failed; it is tried again after a pause"),
    Event("embedded.stop_failed", "warning", "it could not be left in order; the next start waits for it, or recovers"),
    Event("embedded.data_dir_opened", "info", "the account that runs it was let through the data folder"),
    Event("embedded.account_created", "warning", "an account was made for it, since Postgres refuses to run as root"),
    Event("embedded.programs_copied", "info", "its programs were copied to where that account can run them"),
    Event("migration.applied", "info", "a migration changed the schema"),
    Event("migration.waiting", "warning", "a migration did not get a lock, lets requests through and tries again"),
    Event("migration.undone", "info", "a migration was taken back"),
    Event("access.sign_in_failed", "warning", "somebody did not get in; `user_id` is of whom they named, if anybody"),
    Event("access.refresh_reused", "warning", "a refresh token was used a second time: its sign-in was ended"),
    Event("access.key_created", "info", "an API key was made"),
    Event("access.key_rotated", "info", "an API key got a successor, and ends after the overlap"),
    Event("access.key_revoked", "info", "an API key was ended"),
    Event("access.user_created", "info", "a person was let in"),
    Event("access.password_replaced", "info", "a person was given another password, and every sign-in of theirs ended"),
    Event("access.user_disabled", "info", "a person was kept out from now on"),
    Event("rates.fetched", "info", "exchange rates of the feed were stored"),
    Event("rates.refused", "warning", "the feed told rates that cannot be true; the others were stored"),
    Event("rates.failed", "warning", "the feed gave nothing of use; old rates stay, it is read again after a pause"),
    Event("service.starting", "info", "the process starts"),
    Event("service.process_refused", "error", "a serving process cannot start; the reason says what to mend"),
    Event("service.process_died", "warning", "a serving process ended by itself; another takes its place"),
    Event("service.process_killed", "warning", "a serving process did not end in time and was killed"),
    Event("service.ready", "info", "the process takes requests"),
    Event("service.draining", "info", "the process takes no more requests"),
    Event("service.stopped", "info", "the process ends"),
    Event("telemetry.export_failed", "warning", "spans cannot be delivered; once for each outage"),
    Event("telemetry.export_recovered", "info", "spans are delivered again"),
    Event("http.server.request.exception", "error", "an exception that nothing handled, in a request"),
    Event("task.exception", "error", "the same outside a request"),
    Event("log", "info", "a line of a library; `module` says which, `message` what"),
)

EVENT_LEVELS: dict[str, str] = {event.name: event.level for event in EVENTS}
