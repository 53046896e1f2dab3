"""The fault suite in short: twenty kills of real processes while clients write, and nothing acknowledged is lost."""

from tests.faults.experiment import run_faults

KILLS = 20


async def test_nothing_acknowledged_is_lost_over_twenty_kills() -> None:
    """Ledger and database agree, all is embedded, and no answer was wrong, late or mislabelled."""
    await run_faults(kills=KILLS)
