"""What can be switched on the fake at run time, and what it remembers of the calls it got."""

from typing import Literal

import msgspec

Era = Literal["A", "B", "C"]


class Knobs(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Behaviour of the fake; the defaults are a healthy server of era C with one 768-dimensional model."""

    era: Era = "C"
    version: str = "0.32.15"
    model: str = "nomic-embed-text:latest"
    missing_model: bool = False
    missing_manifest: bool = False
    """The model is listed, and gone when it is to be used."""
    digest: str = "0a109f422b47e3a30ba2b10eca18548e944e8a23073ee3f3e947efcf3c45e59f"
    architecture: str = "nomic-bert"
    capabilities: list[str] | None = msgspec.field(default_factory=lambda: ["embedding"])
    context_length: int = 2048
    dimensions: int = 768
    answer_dimensions: int | None = None
    """Length of the vectors in answers, where it differs from `dimensions`."""
    cannot_embed: bool = False
    loaded: bool = False
    load_delay_s: float = 0.0
    load_error: str | None = None
    """Text of a failing load, with status 500."""
    item_delay_s: float = 0.0
    """Time that one text holds the single slot."""
    hold: bool = False
    """Embedding requests wait until this is off, or until `permits` lets them pass one by one."""
    permits: int = 0
    hang: bool = False
    """Like `hold`, for every route of the API."""
    hang_for: str | None = None
    """Like `hold`, for requests with a text that holds this."""
    slow_s: float = 0.0
    """Pause between the quarters of every body."""
    queue_full: bool = False
    zero_for: str | None = None
    """Texts that hold this get a vector of zeros; "" is in every text."""
    nan_for: str | None = None
    """Texts that hold this yield NaN, in the form of the era (zeros in era C)."""
    scale_for: str | None = None
    """Texts that hold this get a vector of norm 3."""
    odd_400_for: str | None = None
    """Texts that hold this fail with a 400 of unknown words."""
    nan_as: Literal["500", "400", "zeros"] | None = None
    """How NaN shows, where it is not the most usual form of the era."""
    zero_until_reload: bool = False
    """Every vector is zeros until the model has been unloaded and is loaded again."""
    lingering: int = 0
    """So many answers of /api/ps go on listing a model after its unloading."""
    unstable: Literal["batch", "concurrent"] | None = None
    """A text gets another vector in a request with others, or beside another request."""
    no_special_tokens: bool = False
    """The model adds no tokens to a text, so that an empty one in an array is refused."""
    too_long_text: str | None = None
    """Words for a text that is too long, where they are not those of the era."""
    uncuttable: bool = False
    """Texts that are too long are refused even where they may be cut."""
    silent_cut: bool = False
    """Ignore `truncate: false` and cut."""
    runner_deaths: int = 0
    """So many embedding requests to come lose the runner."""
    dies_for: str | None = None
    """Every request with a text that holds this loses the runner."""
    runner_text: str = 'do embedding request: Post "http://127.0.0.1:40001/embedding": EOF'
    """What is said when the runner is lost."""
    fail_next: int = 0
    """So many embedding requests to come answer `fail_status` with `fail_text`."""
    fail_status: int = 500
    fail_text: str = "something broke"
    fail_plain: bool = False
    """Send `fail_text` as plain text instead of a JSON error."""
    drop: Literal["before", "middle"] | None = None
    """Close the connection before or in the middle of an embedding answer."""
    drops: int = -1
    """So many times; -1 is always."""
    check_host: bool = True
    pull_error: str | None = None
    """Error line in the middle of a pull."""


class Call(msgspec.Struct, frozen=True):
    """One request as it came in; `texts` is empty where the route takes none."""

    method: str
    path: str
    texts: tuple[str, ...] = ()
    body: bytes = b""
    headers: dict[str, str] = {}


class Counts(msgspec.Struct):
    """Sums since the start, and the embedding requests in flight now."""

    requests: int = 0
    by_path: dict[str, int] = msgspec.field(default_factory=dict)
    embed_requests: int = 0
    texts: int = 0
    items_computed: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    loads: int = 0
    aborted_loads: int = 0
    unloads: int = 0
    disconnects: int = 0
