"""The fault suite: hundreds of kills while clients write; KILLS says how many, FAULT_SEED repeats a schedule."""

import os

import pytest

from tests.faults.experiment import run_faults

pytestmark = pytest.mark.long

KILLS = int(os.environ.get("KILLS", "200"))


async def test_nothing_acknowledged_is_lost_over_many_kills() -> None:
    """Ledger and database agree, all is embedded, and no answer was wrong, late or mislabelled."""
    await run_faults(kills=KILLS)
