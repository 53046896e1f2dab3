"""Exchange rates over HTTP."""

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency

from service.http.caching import NOT_MODIFIED, PRIVATE_MINUTE, IfNoneMatch, tag_of
from service.http.decoding import StrictRequest, takes
from service.pay.domain import ExchangeRates
from service.pay.model import RateList, RatesQuery


class RatesController(Controller):
    """/api/v1/rates."""

    path = "/rates"
    tags = ("pay",)

    @get(opt=takes(query=RatesQuery) | {"scope": "jobs:read"}, responses=NOT_MODIFIED)
    async def list_rates(
        self,
        request: StrictRequest,
        rates: NamedDependency[ExchangeRates],
        if_none_match: IfNoneMatch = None,  # noqa: ARG002 - for the document; `http.caching` makes the 304
    ) -> Response[RateList]:
        """List what one unit of a currency is worth in others, with dates.

        These are the rates that filters on pay convert with. A currency without a rate is left out.
        """
        query = request.query(RatesQuery)
        answer = await rates.table(query.base, query.at)
        # Weak: the answer tells its own moment too, which makes no difference as long as the rates are the same.
        tag = f"W/{tag_of(msgspec.json.encode(answer.rates))}"
        return Response(answer, headers={"ETag": tag, "Cache-Control": PRIVATE_MINUTE})
