"""Exchange rates over HTTP."""

from litestar import Controller, Response, get
from litestar.di import NamedDependency

from service.http.decoding import StrictRequest, takes
from service.pay.domain import ExchangeRates
from service.pay.model import RateList, RatesQuery


class RatesController(Controller):
    """/api/v1/rates."""

    path = "/rates"
    tags = ("pay",)

    @get(opt=takes(query=RatesQuery) | {"scope": "jobs:read"})
    async def list_rates(self, request: StrictRequest, rates: NamedDependency[ExchangeRates]) -> Response[RateList]:
        """List what one unit of a currency is worth in others, with dates.

        These are the rates that filters on pay convert with. A currency without a rate is left out.
        """
        query = request.query(RatesQuery)
        answer = await rates.table(query.base, query.at)
        return Response(answer, headers={"Cache-Control": "private, max-age=60"})
