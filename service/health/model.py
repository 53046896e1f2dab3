"""What the health endpoints say."""

import msgspec


class Live(msgspec.Struct):
    """The process runs its event loop."""

    status: str


class Ready(msgspec.Struct):
    """Whether requests can be served; `failing` names the parts that keep it from that."""

    status: str
    failing: list[str]


class Versions(msgspec.Struct, frozen=True):
    """Versions of the database and its extension."""

    postgres: str
    pgvector: str


class Part(msgspec.Struct, omit_defaults=True):
    """The state of one part; `detail` says more."""

    status: str
    detail: dict[str, str | int | float | None] = {}


class Report(msgspec.Struct):
    """Everything at once, for people and dashboards."""

    status: str
    version: str
    parts: dict[str, Part]
