"""Bodies of many rows and bodies that are forms."""

import httpx

from service.http.decoding import FORM, JSON, NDJSON
from tests.toy_postings import fields_of


async def test_rows_are_judged_one_by_one(postings: httpx.AsyncClient) -> None:
    """In a batch a bad row, even one that is no JSON, leaves the others alone; a bad array is refused whole."""
    rows = b'{"title":"cook"}\r\n\n{"title":1}\n{nope\n{"title":"\\u0000"}\n{"title":"\xff"}\n{"title":"baker"}'
    answer = await postings.post("/batch", content=rows, headers={"Content-Type": NDJSON})
    assert answer.json() == ["cook", "invalid", "unreadable_body", "unstorable_text", "unreadable_body", "baker"]
    array = await postings.post("/batch", content=b'[{"title":" cook "},{},3]', headers={"Content-Type": JSON})
    assert array.json() == ["cook", "missing", "invalid"]
    for body, status in ((b'{"title":"cook"}', 422), (b'[{"title":', 400), (b"", 400)):
        assert (await postings.post("/batch", content=body, headers={"Content-Type": JSON})).status_code == status


async def test_forms_are_read_strictly(postings: httpx.AsyncClient) -> None:
    """A form names its failing fields by pointer, and passes over fields it does not know."""
    headers = {"Content-Type": FORM}
    good = await postings.post("/token", content=b"username=amina&password=p%26w&grant_type=password", headers=headers)
    assert (good.status_code, good.text) == (201, "amina")
    bad = await postings.post("/token", content=b"username=a&username=b", headers=headers)
    assert sorted(fields_of(bad)) == ["/password missing", "/username repeated"]
