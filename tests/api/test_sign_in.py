"""People sign in with a password, go on with refresh tokens that are good once, and lose access when they should."""

import asyncio
import io
import itertools
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from service.access.domain import KEPT_S
from service.access.passwords import Passwords
from service.access.sign_in import SignIn, disable_user, replace_password
from service.config import Settings
from service.errors import Unauthenticated
from service.telemetry.lifecycle import Telemetry
from tests.api.calls import JOBS, SEARCH, Clock, create, faults, problem, sample
from tests.api.people import CHEAP, PASSWORD, PROFILE, REFRESH, TOKEN, add_person, bearer, post_form, tokens_of
from tests.conftest import Service, running
from tests.factories import job_body
from tests.fakes import WordEmbedder


def events(log: io.BytesIO, name: str) -> list[dict[str, Any]]:
    """The log lines of an event."""
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in lines if line.get("event") == name]


@pytest.fixture
async def api(
    dsn: str, telemetry: Telemetry, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    """The application where credentials are required, and no secret is set."""
    settings = Settings(embed_in_serve=False, migrate_on_start=False, auth="required")
    async with running(settings, dsn, telemetry, embedder, monkeypatch) as made:
        yield made


async def test_who_signs_in_may_do_what_the_role_allows(api: Service) -> None:
    """A token lets a person in as the tenant and with the scopes of the role, and is kept by nobody in between."""
    await add_person(api, "Amina", role="reader")
    answer = await post_form(api, TOKEN, username="AMINA", password=f" {PASSWORD} ", grant_type="password", other="x")
    made = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert (made["token_type"], made["expires_in"], made["scope"]) == ("Bearer", 1800, "jobs:read search")
    assert (await api.client.get(JOBS, headers=bearer(made))).status_code == 200
    refused = await api.client.post(JOBS, json=job_body(), headers=bearer(made))
    problem(refused, 403, "forbidden")
    assert refused.headers["www-authenticate"].endswith('error="insufficient_scope", scope="jobs:write"')
    profile = (await api.client.get(PROFILE, headers=bearer(made))).json()
    ends = datetime.fromisoformat(profile.pop("expires_at")) - datetime.now(UTC)
    assert timedelta(minutes=29) < ends <= timedelta(minutes=30)
    assert profile == {
        "kind": "user",
        "tenant": "acme",
        "scopes": ["jobs:read", "search"],
        "name": "amina",
        "key_id": None,
        "role": "reader",
        "rate": None,
    }


async def test_a_wrong_sign_in_does_not_tell_what_is_wrong(api: Service, log: io.BytesIO) -> None:
    """Unknown, disabled and wrong are one answer; the log tells them apart, without the name and the password."""
    await add_person(api, "amina")
    await add_person(api, "gone")
    await disable_user(api.parts.db, "gone")
    answers = []
    for name, password in (("amina", "wrong horse battery"), ("hunter2-nobody", PASSWORD), ("gone", PASSWORD)):
        answer = await post_form(api, TOKEN, username=name, password=password)
        body = problem(answer, 401, "invalid_credentials")
        assert answer.headers["www-authenticate"] == 'Bearer realm="jobsense"'
        answers.append((body["title"], body["detail"], sorted(body)))
    assert answers == [answers[0]] * 3
    told = events(log, "access.sign_in_failed")
    reasons = [(line["reason"], line.get("user_id")) for line in told]
    assert reasons == [("password", 1), ("unknown", None), ("disabled", 2)]
    written = log.getvalue().decode()
    assert not [secret for secret in ("hunter2-nobody", PASSWORD, "wrong horse") if secret in written]
    assert sample(api, "jobsense_sign_ins_total", outcome="refused") == 3


async def test_forms_are_read_strictly(api: Service) -> None:
    """Each failing field is named; another grant, a repeated field and another kind of body are refused."""
    await add_person(api)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    problem(await api.client.post(TOKEN, headers=form), 400, "unreadable_body")
    assert faults(await post_form(api, TOKEN, x="1")) == {"/username": "missing", "/password": "missing"}
    refused = await post_form(api, TOKEN, username="x" * 101, password=PASSWORD, grant_type="client_credentials")
    assert faults(refused) == {"/username": "invalid", "/grant_type": "invalid"}
    twice = b"username=amina&username=admin&password=x"
    repeated = await api.client.post(TOKEN, content=twice, headers=form)
    assert faults(repeated) == {"/username": "repeated"}
    as_json = await api.client.post(TOKEN, json={"username": "amina", "password": PASSWORD})
    problem(as_json, 415, "unsupported_media_type")
    in_url = await api.client.post(f"{TOKEN}?password=x", data={"username": "amina", "password": PASSWORD})
    assert faults(in_url) == {"password": "unknown"}


async def test_fewer_scopes_can_be_asked_for(api: Service) -> None:
    """`scope` narrows what the role allows, also after a refresh; more than the role allows is refused by name."""
    await add_person(api, role="writer")
    made = await tokens_of(api, scope="search jobs:read")
    assert made["scope"] == "jobs:read search"
    again = (await post_form(api, REFRESH, refresh_token=made["refresh_token"])).json()
    assert again["scope"] == "jobs:read search"
    problem(await api.client.post(JOBS, json=job_body(), headers=bearer(again)), 403, "forbidden")
    for scope in ("admin", "jobs:read everything"):
        answer = await post_form(api, TOKEN, username="amina", password=PASSWORD, scope=scope)
        assert faults(answer) == {"/scope": "invalid"}


async def test_a_refresh_token_is_good_once(api: Service, log: io.BytesIO) -> None:
    """Each refresh gives a new pair; an old refresh token ends the sign-in with all its tokens, and is logged."""
    await add_person(api)
    first = await tokens_of(api)

    async def refresh(token: str) -> Any:
        return await post_form(api, REFRESH, refresh_token=token, grant_type="refresh_token")

    answer = await refresh(first["refresh_token"])
    second = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert second["refresh_token"] != first["refresh_token"]
    third = (await refresh(second["refresh_token"])).json()
    reused = await refresh(first["refresh_token"])
    problem(reused, 401, "invalid_refresh_token")
    problem(await refresh(third["refresh_token"]), 401, "invalid_refresh_token")
    problem(await api.client.get(PROFILE, headers=bearer(third)), 401, "unauthenticated")
    assert len(events(log, "access.refresh_reused")) == 1
    assert sample(api, "jobsense_refreshes_total", outcome="reused") == 1
    assert (await tokens_of(api))["scope"], "a new sign-in is not hindered"


async def test_of_many_who_refresh_at_once_one_wins_at_most(api: Service) -> None:
    """Two who hold one token are a thief and an owner: the database lets one through, and then ends both."""
    await add_person(api)
    made = await tokens_of(api)
    answers = await asyncio.gather(*(post_form(api, REFRESH, refresh_token=made["refresh_token"]) for _ in range(8)))
    good = [answer for answer in answers if answer.status_code == 200]
    assert len(good) <= 1
    for answer in answers:
        if answer not in good:
            problem(answer, 401, "invalid_refresh_token")
    for one in good:
        again = await post_form(api, REFRESH, refresh_token=one.json()["refresh_token"])
        problem(again, 401, "invalid_refresh_token")


async def test_bad_refresh_tokens_end_nothing(api: Service) -> None:
    """What is no refresh token of a sign-in is refused and harms none."""
    await add_person(api)
    made = await tokens_of(api)
    for bad in ("x", "jr_", "jr__", "jr_0123_x", made["access_token"][:200], "js_0123456789ab_x"):
        problem(await post_form(api, REFRESH, refresh_token=bad), 401, "invalid_refresh_token")
    assert (await post_form(api, REFRESH, refresh_token=made["refresh_token"])).status_code == 200


async def test_a_refresh_token_ends_after_a_week(api: Service) -> None:
    """Seven days after the last refresh a sign-in is over."""
    await add_person(api)
    made = await tokens_of(api)
    async with api.parts.db.connection() as connection:
        left = await connection.fetchval("select expires_at - created_at from sign_in")
        assert left == timedelta(days=7)
        await connection.execute("update sign_in set expires_at = now()")
    problem(await post_form(api, REFRESH, refresh_token=made["refresh_token"]), 401, "invalid_refresh_token")
    await tokens_of(api)
    async with api.parts.db.connection() as connection:
        assert await connection.fetchval("select count(*) from sign_in") == 1, "the dead one is swept"


async def test_a_disabled_person_is_out_within_the_cache_time(api: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sign-in and refresh end at once, the access token when it is next asked for, ten seconds later at most."""
    clock = Clock()
    monkeypatch.setattr("service.access.domain.time", clock)
    await add_person(api)
    seen, unseen = await tokens_of(api), await tokens_of(api)
    assert (await api.client.get(JOBS, headers=bearer(seen))).status_code == 200
    await disable_user(api.parts.db, "AMINA")
    problem(await post_form(api, TOKEN, username="amina", password=PASSWORD), 401, "invalid_credentials")
    problem(await post_form(api, REFRESH, refresh_token=seen["refresh_token"]), 401, "invalid_refresh_token")
    problem(await api.client.get(JOBS, headers=bearer(unseen)), 401, "unauthenticated")
    clock.now += KEPT_S + 0.001
    problem(await api.client.get(JOBS, headers=bearer(seen)), 401, "unauthenticated")


async def test_another_password_ends_what_the_old_one_began(api: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old password and its tokens are good no longer, within the cache time at the latest; others stay in."""
    clock = Clock()
    monkeypatch.setattr("service.access.domain.time", clock)
    for name in ("amina", "other"):
        await add_person(api, name)
    before, other = await tokens_of(api), await tokens_of(api, "other")
    assert (await api.client.get(JOBS, headers=bearer(before))).status_code == 200
    await replace_password(api.parts.db, name="AMINA", password_hash=await CHEAP.make_hash(f"{PASSWORD} 2"))
    problem(await post_form(api, TOKEN, username="amina", password=PASSWORD), 401, "invalid_credentials")
    problem(await post_form(api, REFRESH, refresh_token=before["refresh_token"]), 401, "invalid_refresh_token")
    clock.now += KEPT_S + 0.001
    problem(await api.client.get(JOBS, headers=bearer(before)), 401, "unauthenticated")
    assert (await post_form(api, TOKEN, username="amina", password=f"{PASSWORD} 2")).status_code == 200
    assert (await api.client.get(JOBS, headers=bearer(other))).status_code == 200


async def test_a_role_counts_as_it_is_now(api: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who is made a reader loses what only writers may, within the cache time and without a new sign-in."""
    clock = Clock()
    monkeypatch.setattr("service.access.domain.time", clock)
    await add_person(api, role="writer")
    made = await tokens_of(api)
    assert (await api.client.post(JOBS, json=job_body(), headers=bearer(made))).status_code == 201
    async with api.parts.db.connection() as connection:
        await connection.execute("update account set role = 'reader'")
    clock.now += KEPT_S + 0.001
    problem(await api.client.post(JOBS, json=job_body(), headers=bearer(made)), 403, "forbidden")
    again = (await post_form(api, REFRESH, refresh_token=made["refresh_token"])).json()
    assert again["scope"] == "jobs:read search"


async def test_a_burst_of_sign_ins_starves_nothing(api: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many sign in at once, others are served beside them; two are checked, some wait, the rest get a 503."""
    go, checked = asyncio.Event(), asyncio.Queue[str]()

    async def slow(_self: Passwords, _kept: str | None, _password: str) -> bool:
        checked.put_nowait("one more")
        await go.wait()
        return True

    await add_person(api)
    headers = bearer(await tokens_of(api))
    monkeypatch.setattr(Passwords, "check", slow)
    burst = [asyncio.create_task(post_form(api, TOKEN, username="amina", password=PASSWORD)) for _ in range(50)]
    for turned_away in itertools.islice(asyncio.as_completed(burst), 50 - 2 - 32):
        problem(await turned_away, 503, "overloaded")
    for _ in range(2):
        await checked.get()
    for _ in range(20):
        assert (await api.client.get(JOBS, headers=headers)).status_code == 200
    assert checked.empty()
    go.set()
    answers = await asyncio.gather(*burst)
    assert 2 <= [answer.status_code for answer in answers].count(200) <= 34
    for answer in answers:
        if answer.status_code != 200:
            problem(answer, 503, "overloaded")
            assert int(answer.headers["retry-after"]) >= 1


async def test_an_outdated_hash_is_made_anew(api: Service) -> None:
    """A hash of weaker parameters is replaced at the next sign-in, and the password stays good."""
    await add_person(api)

    async def kept() -> str:
        async with api.parts.db.connection() as connection:
            return str(await connection.fetchval("select password_hash from account"))

    before = await kept()
    await tokens_of(api)
    after = await kept()
    assert "m=64,t=1" in before
    assert "m=19456,t=2,p=1" in after
    await tokens_of(api)
    assert await kept() == after


async def test_tokens_are_those_of_the_installation(api: Service, settings: Settings) -> None:
    """Without JWT_SECRET all processes sign with one secret of the database; with another, a token is nothing."""
    await add_person(api)
    made = await tokens_of(api)
    other = type(api.parts)(api.parts.db, settings)
    assert (await other.access.caller(None, bearer(made)["Authorization"])).name == "amina"
    changed = type(api.parts)(api.parts.db, msgspec.structs.replace(settings, jwt_secret="x" * 32))
    with pytest.raises(Unauthenticated, match="not one of this service"):
        await changed.access.caller(None, bearer(made)["Authorization"])
    assert isinstance(changed.people, SignIn)
    again = await changed.people.refresh(made["refresh_token"])
    caller = await changed.access.caller(None, f"Bearer {again.access_token}")
    assert caller.name == "amina", "a refresh token outlives a change of the secret"


async def test_people_and_keys_of_a_tenant_see_the_same(api: Service) -> None:
    """What a person stores, searches of the same tenant find."""
    await add_person(api, role="writer")
    headers = bearer(await tokens_of(api))
    api.client.headers.update(headers)
    job = await create(api, title="Falconer")
    found = (await api.client.post(SEARCH, json={"text": "falconer", "mode": "lexical"})).json()
    assert [hit["job"]["id"] for hit in found["results"]] == [job["id"]]
