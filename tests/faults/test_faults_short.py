"""The fault suite in short: each kind of end once while clients write, and nothing acknowledged is lost."""

from tests.faults.experiment import run_faults
from tests.faults.schedule import SHORT_RUN


async def test_nothing_acknowledged_is_lost_by_any_kind_of_end() -> None:
    """Ledger and database agree, all is embedded, and no answer was wrong, late or mislabelled."""
    await run_faults(kills=SHORT_RUN)
