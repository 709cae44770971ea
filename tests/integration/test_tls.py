"""TLS is verified, and nothing can switch that off unseen; plain text goes to loopback only."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ccxt", reason="ccxt is not installed; the extra `ccxt` brings it")
pytest.importorskip("aiohttp", reason="aiohttp is not installed; the extra `exchange` brings it")
pytest.importorskip("cryptography", reason="cryptography, which ccxt brings, makes a certificate")

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from workbench_ccxt.brokerd import CcxtBrokerd
from workbench_ccxt.datad import CcxtDatad

from tests.ccxt_trial import LocalTrial, Notes
from workbench.model.errors import ConfigError
from workbench.model.identifiers import AccountId
from workbench.venues import (
    BrokerContext,
    Credentials,
    DataContext,
    NotSentError,
    Secret,
    VenueError,
)


@pytest.fixture
def self_signed(tmp_path: Path) -> ssl.SSLContext:
    """Return what a server on loopback uses whose certificate nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    kind = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    pem = key.private_bytes(kind, serialization.PrivateFormat.PKCS8, plain)
    path = tmp_path / "server.pem"
    path.write_bytes(pem + made.public_bytes(kind))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    return context


@asynccontextmanager
async def serving(context: ssl.SSLContext, heard: list[str]) -> AsyncIterator[int]:
    """Answer everything, and note what is asked for; give the port."""

    async def answer(request: web.Request) -> web.StreamResponse:
        heard.append(request.path)
        return web.json_response({})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()
        left = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
        assert not left, left

    asyncio.run(main())


def sink() -> Any:
    return Notes()


def brokerd(**options: Any) -> CcxtBrokerd:
    keys = Credentials({"api_key": Secret("the-key-of-all"), "api_secret": Secret("the-secret")})
    context = BrokerContext(lambda: 0, AccountId("A-1"), keys)
    return CcxtBrokerd(context, exchange="binance", **options)


@pytest.mark.parametrize("kind", ["orders", "data"])
def test_a_server_with_a_certificate_of_its_own_making_is_refused_and_sent_nothing(
    kind: str, self_signed: ssl.SSLContext
) -> None:
    heard: list[str] = []

    async def work() -> None:
        async with serving(self_signed, heard) as port:
            base_url = f"https://127.0.0.1:{port}"
            made: Any = (
                brokerd(base_url=base_url)
                if kind == "orders"
                else CcxtDatad(DataContext(lambda: 0), exchange="binance", base_url=base_url)
            )
            with pytest.raises(
                NotSentError, match="binance is not trusted, nothing was sent: self"
            ):
                await made.connect(sink())
            await made.disconnect()

    run(work)
    assert heard == []


def test_a_socket_with_such_a_certificate_is_refused_too(self_signed: ssl.SSLContext) -> None:
    heard: list[str] = []
    trial = LocalTrial()

    async def work() -> None:
        async with serving(self_signed, heard) as port:
            rest = trial.exchange.addresses.rest
            socket = f"wss://127.0.0.1:{port}"
            urls = {
                **dict.fromkeys(("public", "private", "v1"), f"{rest}/api/v3"),
                "ws": {"spot": f"{socket}/ws", "ws-api": {"spot": f"{socket}/ws-api/v3"}},
            }
            made = brokerd(urls=urls)
            with pytest.raises(VenueError, match="is not trusted"):
                await made.connect(sink())
            await made.disconnect()

    trial.run(work())
    assert heard == []


@pytest.mark.parametrize(
    "options",
    [
        {"verify": False},
        {"ws": {"verify": False}},
        {"ws": {"url": "ws://example.org"}},
        {"ws": {"options": {"ssl": False}}},
        {"rejectUnauthorized": False},
        {"ssl_context": None},
    ],
)
def test_no_option_switches_that_off(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="options cannot change where requests go or whom they"):
        brokerd(options=options)


def test_what_ccxt_itself_would_not_verify_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    import ccxt.pro

    monkeypatch.setattr(ccxt.pro.binance, "verify", False)

    async def work() -> None:
        made = brokerd()
        with pytest.raises(VenueError, match="ccxt does not check the certificates of binance"):
            await made.connect(sink())
        await made.disconnect()

    run(work)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org",
        "http://192.168.1.1:8080",
        "ws://10.0.0.1/ws",
        "http://localhost.example.org",
        "http://127.0.0.1@example.org",
    ],
)
def test_plain_text_goes_to_this_machine_s_loopback_only(url: str) -> None:
    for options in ({"base_url": url}, {"urls": {"ws": {"spot": [url]}}}):
        with pytest.raises(ConfigError, match="an address "):
            brokerd(**options)
    for fine in ("http://127.0.0.1:8080", "http://localhost", "http://[::1]:1", "https://x.org"):
        brokerd(base_url=fine)


def test_an_address_of_ccxt_s_own_that_is_plain_text_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import ccxt.pro

    describe = ccxt.pro.binance.describe

    def described(self: Any) -> Any:
        found = describe(self)
        found["urls"]["api"]["public"] = "http://api.example.org"
        return found

    monkeypatch.setattr(ccxt.pro.binance, "describe", described)

    async def work() -> None:
        made = brokerd()
        with pytest.raises(ConfigError, match=r"api\.example\.org"):
            await made.connect(sink())
        await made.disconnect()

    run(work)


def test_an_address_with_a_password_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigError) as refused:
        brokerd(base_url="https://me:open-sesame@example.org")
    assert "open-sesame" not in str(refused.value)
