"""Keys stay out of logs, errors and tracebacks, whatever ccxt writes."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import pytest

from workbench.venues import VenueError, read_credentials
from workbench.venues.connection import told_error
from workbench.venues.secrets import variable_of


def test_no_log_and_no_error_shows_a_key(
    local_trial: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def work() -> None:
        key = local_trial.exchange.keys["a"]
        secrets = {"api_key": key.api_key, "api_secret": key.api_secret}
        environ = {variable_of("TRIAL-001", name): value for name, value in secrets.items()}
        local_trial.credentials = read_credentials(
            "TRIAL-001", secrets, (), environ, lambda _service, _user: None
        )
        async with local_trial.broker() as (brokerd, notes):
            exchange = brokerd._exchange
            await brokerd.account_state()
            local_trial.exchange.inject("lose_request", "account.status", count=5)
            with pytest.raises(VenueError) as caught:
                await brokerd.account_state()
            shown = [told_error(caught.value), repr(brokerd), repr(exchange), repr(notes.messages)]
            shown += ["".join(traceback.format_exception(caught.value))]
        assert any("X-MBX-APIKEY" in record.getMessage() for record in caplog.records)
        shown += [caplog.text]
        for value in secrets.values():
            assert all(value not in text for text in shown)
        assert exchange.apiKey is None
        assert exchange.secret is None

    level = logging.getLogRecordFactory()
    try:
        local_trial.run(work())
    finally:
        logging.setLogRecordFactory(level)
