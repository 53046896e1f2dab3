"""What an answer tells beside its hits: explanations, marked words, facets, and how age counts."""

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.calls import JOBS, SEARCH, Parameters, faults
from tests.conftest import Service
from tests.factories import job_body

MODES = ["hybrid", "semantic", "lexical"]
NOW = datetime.now(UTC)


async def fill(api: Service, *bodies: dict[str, Any]) -> None:
    """Store and embed postings."""
    answer = await api.client.post(f"{JOBS}/batch", json=list(bodies))
    assert {one["status"] for one in answer.json()["results"]} == {"created"}
    await api.embed()


async def search(api: Service, text: str, **fields: Any) -> dict[str, Any]:
    """The answer to a search."""
    response = await api.client.post(SEARCH, json={"text": text} | fields)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_hybrid_explains_both_legs_and_their_sum(api: Service) -> None:
    """Each leg's rank and score, the formula that makes the score of them, and the scan with its filters are told."""
    await fill(
        api, *(job_body(title=f"Night nurse {word}", description=None) for word in ("ward", "school", "zorblax"))
    )
    filters = {"source": ["linkedin"], "active": True}
    answer = await search(api, "night nurse zorblax", explain=True, filters=filters, min_score=0.0)
    hits = answer["results"]
    assert len(hits) == 3
    for hit in hits:
        told = hit["explain"]
        ((weight, whole),) = re.findall(r"^\(similarity \+ ([\d.]+) x coverage\) / ([\d.]+)$", told["formula"])
        made = (max(0.0, told["semantic"]["similarity"]) + float(weight) * told["lexical"]["score"]) / float(whole)
        assert told["fused"] == hit["score"] == pytest.approx(made, abs=1e-4)
        assert told["scan"] | {"estimate": 0} == {
            "kind": "exact",
            "estimate": 0,
            "ef_search": None,
            "budget": 100,
            "rows_looked_at": 3,
            "filters": ["source", "active"],
        }
    assert sorted(hit["explain"]["semantic"]["rank"] for hit in hits) == [1, 2, 3]
    assert (hits[0]["job"]["title"], hits[0]["explain"]["lexical"]) == (
        "Night nurse zorblax",
        {"rank": 1, "score": 1.0},
    )
    assert {hit["explain"]["lexical"]["rank"] for hit in hits[1:]} == {2}


async def test_one_legged_modes_explain_their_leg(api: Service) -> None:
    """By meaning there is no lexical part, by words no semantic one and no scan; unasked there is no explanation."""
    await fill(api, job_body(title="Baker", description=None), job_body(title="Baker of bread", description=None))
    semantic = await search(api, "baker", mode="semantic", explain=True)
    lexical = await search(api, "baker", mode="lexical", explain=True)
    for place, hit in enumerate(semantic["results"], 1):
        told = hit["explain"]
        assert told["lexical"] is None
        assert told["semantic"] == {"rank": place, "similarity": pytest.approx(hit["score"])}
        assert (told["formula"], told["scan"]["kind"]) == ("similarity", "exact")
    for hit in lexical["results"]:
        told = hit["explain"]
        assert (told["semantic"], told["scan"]) == (None, None)
        assert told["lexical"]["score"] == told["fused"] == hit["score"]
    assert all("explain" not in hit for hit in (await search(api, "baker"))["results"])


HOSTILE = "<script>alert(1)</script> nurse & \"carer\" <b>nurse</b> a < nurse > b 'x' \ue000nurse\ue001 &amp; &lt;i&gt;"


@pytest.mark.parametrize("mode", MODES)
async def test_marks_are_the_only_html(api: Service, mode: str) -> None:
    """Words of the query are in <mark>, in their other forms too; all else is escaped, and nothing is lost."""
    await fill(api, job_body(title=HOSTILE, description="Nurses &lt;b&gt; nursing & caring for 3 < 5 patients"))
    (hit,) = (await search(api, "nurses", mode=mode, highlight=True, min_score=0.0))["results"]
    for marked in (hit["highlight"]["title"], hit["highlight"]["passage"]):
        assert "<mark>" in marked
        assert "<" not in re.sub(r"</?mark>", "", marked)
    title = html.unescape(re.sub(r"</?mark>", "", hit["highlight"]["title"]))
    assert title == hit["job"]["title"].replace("\ue000", "").replace("\ue001", "")
    assert re.findall(r"<mark>(.*?)</mark>", hit["highlight"]["title"]) == ["nurse"] * 4
    assert re.findall(r"<mark>(.*?)</mark>", hit["highlight"]["passage"]) == ["Nurses", "nursing"]
    assert all("highlight" not in one for one in (await search(api, "nurses", mode=mode))["results"])


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(title=st.text(st.sampled_from(list("<>&\"'/= abnurse\u00e9\ue002\ue004")), min_size=2, max_size=60))
async def test_no_title_can_smuggle_html(shared: Service, title: str) -> None:
    """Whatever a title is made of, its highlight holds no tag but <mark>, and says the same text."""
    response = await shared.client.post(JOBS, json=job_body(title=f"zyxnurse {title}", description=None))
    assert response.status_code == 201
    job = response.json()
    answer = await search(shared, "zyxnurse", mode="lexical", highlight=True, top_k=100)
    (marked,) = [hit["highlight"]["title"] for hit in answer["results"] if hit["job"]["id"] == job["id"]]
    assert "<" not in re.sub(r"</?mark>", "", marked)
    assert (await shared.client.delete(f"{JOBS}/{job['id']}")).status_code == 204


async def test_a_text_of_stop_words_marks_nothing(api: Service) -> None:
    """Without a word that counts the quotes come unmarked."""
    await fill(api, job_body(title="The one", description="of the and"))
    (hit,) = (await search(api, "the of and", mode="semantic", highlight=True, min_score=0.0))["results"]
    assert hit["highlight"] == {"title": "The one", "passage": hit["passage"]["text"]}


async def test_facets_count_all_matches_by_folded_value(api: Service) -> None:
    """Not only the page's; spellings that a filter holds for equal are one; the commonest come first; none is empty."""
    bodies = [
        job_body(title="Cook", company=company, location=location, employment_type=kind, currency=currency)
        for company, location, kind, currency in [
            ("STRASSE GmbH", "Nairobi", "full_time", "KES"),
            ("Strasse GmbH", "nairobi", "full_time", "USD"),
            ("Straße GmbH", None, None, "KES"),
            ("Acme", "Kisumu", "contract", None),
        ]
    ]
    await fill(api, *bodies, job_body(title="Welder", company="Acme", description=None))
    names = ["company", "location", "employment_type", "currency", "source"]
    answer = await search(api, "cook", mode="lexical", top_k=1, facets=names)
    assert answer["total"]["value"] == 4
    found = {name: [(one["value"], one["count"]) for one in answer["facets"][name]] for name in names}
    assert [count for _, count in found["company"]] == [3, 1]
    assert found["company"][0][0].casefold().replace("ß", "ss") == "strasse gmbh"
    assert [(value.lower(), count) for value, count in found["location"]] == [("nairobi", 2), ("kisumu", 1)]
    assert found["employment_type"] == [("full_time", 2), ("contract", 1)]
    assert found["currency"] == [("KES", 2), ("USD", 1)]
    assert found["source"] == [("linkedin", 4)]
    filters = {"company": [found["company"][0][0]]}
    assert (await search(api, "cook", mode="lexical", filters=filters))["total"]["value"] == 3
    assert (await search(api, "cook"))["facets"] == {}
    nothing = await search(api, "xyzzy", mode="lexical", facets=["company"])
    assert (nothing["results"], nothing["facets"]) == ([], {"company": []})


@pytest.mark.parametrize("mode", MODES)
async def test_age_halves_a_score(api: Service, mode: str) -> None:
    """With a half-life of ten days what is ten days older has half the score; the undated counts from when it came."""
    days = {"today": 0, "ten": 10, "twenty": 20}
    bodies = [
        job_body(title="Cook", description=None, external_id=name, posted_at=(NOW - timedelta(days=age)).isoformat())
        for name, age in days.items()
    ]
    future = job_body(
        title="Cook", description=None, external_id="future", posted_at=(NOW + timedelta(days=400)).isoformat()
    )
    await fill(api, *bodies, future, job_body(title="Cook", description=None, external_id="undated"))
    plain = {hit["job"]["external_id"]: hit["score"] for hit in (await search(api, "cook", mode=mode))["results"]}
    aged = (await search(api, "cook", mode=mode, recency_half_life_days=10, explain=True))["results"]
    assert [hit["job"]["external_id"] for hit in aged][-2:] == ["ten", "twenty"]
    scores = {hit["job"]["external_id"]: hit["score"] for hit in aged}
    for name, age in (days | {"future": 0, "undated": 0}).items():
        assert scores[name] == pytest.approx(plain[name] * 0.5 ** (age / 10), rel=0.02)
    assert all(hit["explain"]["formula"].endswith(" x 0.5 ^ (age in days / 10)") for hit in aged)


@pytest.mark.parametrize("mode", MODES)
async def test_age_beyond_measure_is_no_fault(api: Service, mode: str) -> None:
    """The oldest posting there can be, with the shortest half-life, is still found: last, and next to nothing."""
    ages = {"old": "0001-01-01T00:00:00Z", "new": NOW.isoformat(), "late": "9999-12-31T00:00:00Z"}
    await fill(api, *(job_body(title="Cook", description=None, external_id=k, posted_at=v) for k, v in ages.items()))
    found = (await search(api, "cook", mode=mode, recency_half_life_days=0.01, min_score=0))["results"]
    assert [hit["job"]["external_id"] for hit in found][-1] == "old"
    assert 0 <= found[-1]["score"] < 1e-100


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"facets": ["salary"]}, "/facets/0"),
        ({"facets": "source"}, "/facets"),
        ({"recency_half_life_days": 0}, "/recency_half_life_days"),
        ({"recency_half_life_days": -1}, "/recency_half_life_days"),
        ({"explain": "yes"}, "/explain"),
        ({"highlight": 1}, "/highlight"),
        ({"cursor": "x" * 4001}, "/cursor"),
        ({"min_score": 1.5}, "/min_score"),
        ({"top_k": 101}, "/top_k"),
        ({"offset": 10}, "/offset"),
    ],
)
async def test_wrong_fields_are_named(shared: Service, fields: dict[str, Any], wrong: str) -> None:
    """A field of a wrong name, type or range is refused with its place."""
    assert list(faults(await shared.client.post(SEARCH, json={"text": "x"} | fields))) == [wrong]


async def test_the_url_takes_all_that_the_body_takes(api: Service) -> None:
    """Facets as repeated parameters, flags, half-life and the cursor: the same pages either way."""
    await fill(api, *(job_body(title=f"Cook {number}", description=None) for number in range(12)))
    fields = {
        "top_k": 5,
        "facets": ["source", "company"],
        "explain": True,
        "highlight": True,
        "recency_half_life_days": 30,
    }
    first = await search(api, "cook", **fields)
    url: Parameters = [("q", "cook"), ("top_k", "5"), ("facets", "source"), ("facets", "company")]
    url += [("explain", "true"), ("highlight", "true"), ("recency_half_life_days", "30")]
    pages = [(await api.client.get(SEARCH, params=url)).json()]
    while (after := pages[-1]["next_cursor"]) is not None:
        pages.append((await api.client.get(SEARCH, params=[*url, ("cursor", after)])).json())
    assert [hit["job"]["id"] for hit in pages[0]["results"]] == [hit["job"]["id"] for hit in first["results"]]
    assert [len(page["results"]) for page in pages] == [5, 5, 2]
    assert len({hit["job"]["id"] for page in pages for hit in page["results"]}) == 12
    stale = await api.client.get(SEARCH, params=[("q", "other"), ("cursor", first["next_cursor"])])
    assert (stale.status_code, stale.json()["code"]) == (410, "cursor_stale")
    assert list(faults(await api.client.get(SEARCH, params=[("q", "cook"), ("cursor", "rubbish")]))) == ["cursor"]
