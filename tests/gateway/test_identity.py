"""Logged-in customers: what a site signs, what is taken of it, and what a visitor then has."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from sqlalchemy import update

from assistant.config import IdentitySettings, Settings
from assistant.conversation.customers import MAX_DEVICES
from assistant.conversation.tables import visitors
from assistant.errors import ConfigError
from assistant.gateway.identity import Identities, SignedIdentity, signed_text
from tests.gateway.conftest import StartRig
from tests.gateway.rig import Rig, VisitorClient

pytestmark = pytest.mark.unit

SECRET = "the shop's own secret, 32 bytes or more"
RSA_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

Configure = Callable[..., Awaitable[Rig]]


def in_s(seconds: float) -> int:
    return int(time.time() + seconds)


def signed(
    user_id: str = "u-1", *, tenant: str = "default", expires: int | None = None, secret: str = SECRET, **more: str
) -> dict[str, Any]:
    expires = in_s(300) if expires is None else expires
    text = signed_text(tenant, user_id, expires, nonce=more.get("nonce"))
    signature = hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
    return {"user_id": user_id, "expires": expires, "signature": signature, **more}


def token(algorithm: str = "HS256", key: Any = SECRET, **claims: object) -> dict[str, str]:
    every = {"sub": "u-1", "aud": "default", "exp": in_s(300)} | claims
    return {"jwt": jwt.encode({k: v for k, v in every.items() if v is not None}, key, algorithm=algorithm)}


def public_pem(key: Any) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_pem(key: Any) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture
def configure(start: StartRig, tmp_path: Path) -> Configure:
    async def configure(algorithm: str = "hmac", key: bytes = SECRET.encode(), **more: object) -> Rig:
        path = tmp_path / "identity.key"
        path.write_bytes(key + b"\n")
        identity = {"algorithm": algorithm, "key_file": path, **more}
        return await start(extra={"identity": identity})

    return configure


async def refused(rig: Rig, identity: object, **body: object) -> str:
    async with rig.http.post(rig.url("/v1/visitor-tokens"), json={"identity": identity, **body}) as response:
        error = (await response.json())["error"]
        assert (response.status, error["code"]) in ((401, "unauthorized"), (400, "bad_frame")), error
        return str(error["message"])


async def test_the_same_customer_on_two_devices_is_the_same_visitor(configure: Configure) -> None:
    rig = await configure()
    phone = await rig.visitor(identity=signed(nonce="phone"))
    laptop = await rig.visitor(identity=signed(nonce="laptop"))
    other = await rig.visitor(identity=signed("u-2"))
    assert phone.visitor_id == laptop.visitor_id != other.visitor_id
    assert phone.secret != laptop.secret
    socket = await phone.join()
    await socket.say("begun on the phone")
    await socket.until_answered()
    assert (await laptop.get_events(socket.conversation_id)).status == 200
    resumed = await laptop.join(conversation_id=socket.conversation_id, epoch=1)
    said = [frame["data"]["text"] for frame in resumed.frames if frame["type"] == "message"]
    assert said[0] == "begun on the phone"
    assert (await other.get_events(socket.conversation_id)).status == 404
    assert rig.parts.customers is not None
    assert await rig.parts.customers.user_id(phone.visitor_id) == "u-1"


async def test_a_conversation_is_taken_along_at_login_and_the_old_secret_ends(configure: Configure) -> None:
    rig = await configure()
    anonymous = await rig.visitor()
    socket = await anonymous.join()
    await socket.say("asked before the login")
    await socket.until_answered()
    pair = {"visitor_id": anonymous.visitor_id, "visitor_secret": anonymous.secret}
    customer = await rig.visitor(identity=signed(), **pair)
    assert customer.visitor_id != anonymous.visitor_id
    assert await socket.closed() == 4401
    events = await (await customer.get_events(socket.conversation_id)).json()
    assert events["events"][0]["data"]["text"] == "asked before the login"
    assert (await anonymous.get_events(socket.conversation_id)).status == 401


@pytest.mark.parametrize("pair", [{"visitor_secret": "wrong"}, {"visitor_secret": None}])
async def test_without_proof_of_both_nothing_is_taken_along(configure: Configure, pair: dict[str, object]) -> None:
    rig = await configure()
    victim = await rig.visitor()
    socket = await victim.join()
    await socket.say("mine alone")
    await socket.until_answered()
    await refused(rig, signed(), visitor_id=victim.visitor_id, **pair)
    thief = await rig.visitor(identity=signed())
    assert (await thief.get_events(socket.conversation_id)).status == 404
    assert (await victim.get_events(socket.conversation_id)).status == 200


async def test_one_customer_does_not_get_another_ones_conversations_on_a_shared_device(configure: Configure) -> None:
    rig = await configure()
    first = await rig.visitor(identity=signed("u-1"))
    socket = await first.join()
    await socket.say("only for me")
    await socket.until_answered()
    pair = {"visitor_id": first.visitor_id, "visitor_secret": first.secret}
    second = await rig.visitor(identity=signed("u-2"), **pair)
    assert second.visitor_id != first.visitor_id
    await socket.say("still mine", "b")
    await socket.until_answered()
    assert (await second.get_events(socket.conversation_id)).status == 404
    assert (await first.get_events(socket.conversation_id)).status == 200


async def test_a_proof_is_good_for_one_device_also_after_a_restart(configure: Configure) -> None:
    rig = await configure()
    proof = signed()
    customer = await rig.visitor(identity=proof)
    assert "used already" in await refused(rig, proof)
    restarted = await configure()
    assert "used already" in await refused(restarted, proof)
    again = VisitorClient(restarted, None)
    answer = await again.post_token(
        identity=proof, visitor_id=customer.visitor_id, visitor_secret=customer.secret
    )  # the page hands over what it has on every reconnect
    assert answer["visitor_id"] == customer.visitor_id
    assert "visitor_secret" not in answer


async def test_a_customer_who_lost_the_secret_is_known_by_the_proof(configure: Configure) -> None:
    rig = await configure()
    customer = await rig.visitor(identity=signed(nonce="a"))
    again = await rig.visitor(identity=signed(nonce="b"), visitor_id=customer.visitor_id)
    assert again.visitor_id == customer.visitor_id


async def test_a_revoked_customer_loses_every_device_and_begins_anew(configure: Configure) -> None:
    rig = await configure()
    devices = [await rig.visitor(identity=signed(nonce=name)) for name in ("phone", "laptop")]
    this = visitors.c.visitor_id == devices[0].visitor_id
    async with rig.parts.visitors._database.writing() as connection:
        await connection.execute(update(visitors).where(this).values(revoked_at="2026-01-01T00:00:00.000Z"))
    assert [(await device.get_events("c_none")).status for device in devices] == [401, 401]
    anew = await rig.visitor(identity=signed(nonce="again"))
    assert anew.visitor_id != devices[0].visitor_id
    assert (await anew.get_events("c_none")).status == 404


async def test_the_oldest_of_too_many_devices_signs_in_again(configure: Configure) -> None:
    rig = await configure()
    devices = [await rig.visitor(identity=signed(nonce=f"d{number}")) for number in range(MAX_DEVICES + 1)]
    statuses = [(await device.get_events("c_none")).status for device in devices]
    assert statuses.count(401) == 1
    assert statuses.count(404) == MAX_DEVICES


CHANGES: list[tuple[dict[str, object], str]] = [
    ({"user_id": "u-2"}, "signature is wrong"),
    ({"expires": in_s(301)}, "signature is wrong"),
    ({"nonce": "x"}, "signature is wrong"),
    ({"signature": "0" * 64}, "signature is wrong"),
    ({"signature": None}, "not signed by HMAC"),
    ({"signature": "é" * 64}, "signature"),
    ({"expires": None}, "not signed by HMAC"),
    ({"user_id": "u-1\ndefault"}, "user_id"),
    ({"user_id": ""}, "user_id"),
    ({"user_id": "x" * 201}, "user_id"),
    ({"jwt": "a.b.c"}, "not signed by HMAC"),
    ({"admin": True}, "admin"),
]


async def test_a_changed_hmac_proof_is_refused(configure: Configure) -> None:
    rig = await configure()
    for change, says in CHANGES:
        assert says in await refused(rig, signed() | change), change


async def test_a_proof_of_another_key_tenant_or_time_is_refused(configure: Configure) -> None:
    rig = await configure()
    for proof, says in (
        (signed(secret="another secret, also 32 bytes long"), "signature is wrong"),
        (signed(tenant="elsewhere"), "signature is wrong"),
        (signed(expires=in_s(-60)), "has expired"),
        (signed(expires=in_s(86_400)), "expires in"),
        (signed(expires=0), "has expired"),
    ):
        assert says in await refused(rig, proof)


@pytest.mark.parametrize(
    ("algorithm", "public", "private"),
    [
        ("HS256", SECRET.encode(), SECRET),
        ("RS256", public_pem(RSA_KEY), RSA_KEY),
        ("ES256", public_pem(EC_KEY), EC_KEY),
    ],
)
async def test_a_token_identifies_a_customer_once(
    configure: Configure, algorithm: str, public: bytes, private: Any
) -> None:
    rig = await configure(algorithm, public)
    proof = token(algorithm, private)
    first = await rig.visitor(identity=proof)
    second = await rig.visitor(identity=token(algorithm, private, jti="2"))
    assert first.visitor_id == second.visitor_id
    assert "used already" in await refused(rig, proof)


FAR_FUTURE = 2**32  # seconds: the list is made long before the test runs
WRONG_CLAIMS: list[dict[str, object]] = [
    {"exp": 1},
    {"exp": None},
    {"exp": "soon"},
    {"exp": 1e400},
    {"exp": FAR_FUTURE},
    {"aud": "elsewhere"},
    {"aud": None},
    {"sub": None},
    {"sub": ""},
    {"sub": 7},
    {"sub": "a\nb"},
    {"nbf": FAR_FUTURE},
    {"iat": FAR_FUTURE},
    {"iss": "https://evil.example"},
]


async def test_a_token_with_wrong_claims_is_refused(configure: Configure) -> None:
    rig = await configure("HS256", issuer="https://shop.example")
    right = {"sub": "u-1", "aud": "default", "exp": in_s(300), "iss": "https://shop.example"}
    for claims in WRONG_CLAIMS:
        wrong = {name: value for name, value in (right | claims).items() if value is not None}
        await refused(rig, {"jwt": by_hand({"alg": "HS256", "typ": "JWT"}, wrong, SECRET.encode())})
    await rig.visitor(identity={"jwt": by_hand({"alg": "HS256", "typ": "JWT"}, right, SECRET.encode())})


def by_hand(header: dict[str, object], claims: dict[str, object], key: bytes) -> str:
    parts = [urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    signature = hmac.new(key, b".".join(parts), hashlib.sha256).digest()
    return b".".join([*parts, urlsafe_b64encode(signature).rstrip(b"=")]).decode()


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_the_public_key_is_no_shared_secret(configure: Configure, algorithm: str) -> None:
    """Algorithm confusion (RFC 8725, 2.1): a token signed by HMAC with what everybody may know."""
    public = public_pem(RSA_KEY if algorithm == "RS256" else EC_KEY)
    rig = await configure(algorithm, public)
    claims: dict[str, object] = {"sub": "u-1", "aud": "default", "exp": in_s(300)}
    for key in (public, public.strip(), b""):
        for header in ({"alg": "HS256"}, {"alg": algorithm}, {"alg": "none"}, {"alg": "None"}, {}):
            await refused(rig, {"jwt": by_hand({"typ": "JWT", **header}, claims, key)})


async def test_a_token_cannot_bring_its_own_key_or_none(configure: Configure) -> None:
    rig = await configure("RS256", public_pem(RSA_KEY))
    other = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(other.public_key()))
    claims = {"sub": "u-1", "aud": "default", "exp": in_s(300)}
    for headers in (
        {"jwk": jwk},
        {"jku": "https://evil.example/keys"},
        {"kid": "../../dev/null"},
        {"crit": ["x"], "x": 1},
    ):
        await refused(rig, {"jwt": jwt.encode(claims, other, algorithm="RS256", headers=headers)})
    unsigned = jwt.encode(claims, None, algorithm="none")
    for forged in (unsigned, unsigned.rstrip("."), unsigned + "x", "", ".", "..", "a.b.c", "x" * 4_096):
        await refused(rig, {"jwt": forged})


async def test_a_signature_that_was_turned_into_another_is_no_new_proof(configure: Configure) -> None:
    """ECDSA: with (r, s) also (r, n - s) is a valid signature of the same token."""
    rig = await configure("ES256", public_pem(EC_KEY))
    proof = token("ES256", EC_KEY)["jwt"]
    await rig.visitor(identity={"jwt": proof})
    head, _, signature = proof.rpartition(".")
    raw = jwt.utils.base64url_decode(signature)
    r, s = decode_dss_signature(jwt.utils.raw_to_der_signature(raw, ec.SECP256R1()))
    turned = r.to_bytes(32, "big") + (P256_ORDER - s).to_bytes(32, "big")
    other = f"{head}.{jwt.utils.base64url_encode(turned).decode()}"
    assert jwt.decode(other, EC_KEY.public_key(), algorithms=["ES256"], audience="default")["sub"] == "u-1"
    assert "used already" in await refused(rig, {"jwt": other})


async def test_hmac_settings_take_no_token_and_token_settings_no_hmac(configure: Configure) -> None:
    rig = await configure("hmac")
    await refused(rig, token())
    rig = await configure("HS256")
    await refused(rig, signed())


async def test_without_settings_no_identity_is_taken(rig: Rig) -> None:
    assert "No signed identities" in await refused(rig, signed())


async def test_each_tenants_site_signs_for_itself_alone(start: StartRig, tmp_path: Path) -> None:
    keys = {"default": SECRET, "second": "the second shop's own secret, also long"}
    identities = {}
    for tenant, secret in keys.items():
        (tmp_path / tenant).write_text(secret)
        identities[tenant] = {"algorithm": "hmac", "key_file": tmp_path / tenant}
    second = {"root": tmp_path, "identity": identities["second"]}
    rig = await start(extra={"identity": identities["default"], "tenants": {"second": second}})
    here = await rig.visitor(identity=signed())
    there = await rig.visitor(identity=signed(tenant="second", secret=keys["second"]), tenant="second")
    assert here.visitor_id != there.visitor_id
    await refused(rig, signed(tenant="second"), tenant="second")
    await refused(rig, signed(nonce="x"), tenant="second")


@pytest.mark.parametrize(
    ("algorithm", "key", "says"),
    [
        ("hmac", b"short", "has 5 bytes"),
        ("HS256", b"", "has 0 bytes"),
        ("HS256", public_pem(RSA_KEY), "is a PEM file"),
        ("RS256", SECRET.encode(), "is no public key"),
        ("RS256", private_pem(RSA_KEY), "is no public key"),
        ("RS256", public_pem(EC_KEY), "is none for RS256"),
        ("RS256", public_pem(rsa.generate_private_key(public_exponent=65_537, key_size=1_024)), "is none for RS256"),
        ("ES256", public_pem(RSA_KEY), "is none for ES256"),
        ("ES256", public_pem(ec.generate_private_key(ec.SECP384R1())), "is none for ES256"),
    ],
)
def test_a_key_that_does_not_fit_stops_the_start_and_is_not_shown(
    tmp_path: Path, algorithm: str, key: bytes, says: str
) -> None:
    path = tmp_path / "identity.key"
    path.write_bytes(key)
    with pytest.raises(ConfigError, match=says) as refusal:
        Identities(Settings(identity=IdentitySettings(algorithm=algorithm, key_file=path)))  # type: ignore[arg-type]
    assert not key or key.decode() not in str(refusal.value)


def test_the_key_may_stand_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(identity=IdentitySettings(algorithm="hmac", key_env="SHOP_IDENTITY_KEY"))
    with pytest.raises(ConfigError, match="SHOP_IDENTITY_KEY"):
        Identities(settings)
    monkeypatch.setenv("SHOP_IDENTITY_KEY", SECRET)
    identities = Identities(settings)
    assert identities.verify("default", SignedIdentity(**signed())).user_id == "u-1"
    assert SECRET not in repr(vars(identities))


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.key: No such file"):
        Identities(Settings(identity=IdentitySettings(algorithm="hmac", key_file=tmp_path / "nowhere.key")))
