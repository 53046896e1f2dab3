"""A request that may be repeated, and the answer that is kept for it."""

from hashlib import sha256

import msgspec

from service.db import Json


class Attempt(msgspec.Struct, frozen=True):
    """One sending of a request: `id` says whose and under which key, `fingerprint` what it asks for."""

    tenant_id: int
    id: bytes
    fingerprint: bytes

    @property
    def lock(self) -> int:
        """The number of the lock that one sending at a time holds."""
        return int.from_bytes(self.id[:8], signed=True)


class Answer(msgspec.Struct, frozen=True):
    """What was answered, to the byte."""

    status: int
    headers: dict[str, str]
    body: bytes


class AnswerRow(msgspec.Struct, frozen=True):
    """An answer as it is kept."""

    fingerprint: bytes
    status: int
    headers: Json
    body: bytes

    def answer(self) -> Answer:
        """The answer as it was given."""
        return Answer(self.status, msgspec.json.decode(self.headers, type=dict[str, str]), self.body)


def attempt_of(asked: msgspec.Struct, *, tenant_id: int, who: str, method: str, path: str, key: str) -> Attempt:
    """Describe one sending of `asked`, a decoded body.

    What it asks for is told by its values, not by its bytes: the order of its fields, white space and escapes say
    nothing. Fields that are null are left out, so that a version with more of them sees the same.
    """
    values = {name: value for name in asked.__struct_fields__ if (value := getattr(asked, name)) is not None}
    whose = msgspec.msgpack.encode((tenant_id, who, method, path, key))
    return Attempt(tenant_id, sha256(whose).digest(), sha256(msgspec.json.encode(values)).digest())
