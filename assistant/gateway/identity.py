"""Who a logged-in customer is, as the site itself has signed it: an HMAC over user id and expiry, or a JSON Web Token.

The algorithm and the key are the tenant's settings, whatever a token's header says (RFC 8725). A proof opens one
session: the device's secret identifies it from then on. Bounds: `MAX_JWT_CHARS`; ``max_age_s`` of the settings.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import BaseModel, ConfigDict, Field

from assistant.config import IdentitySettings, Settings
from assistant.conversation.customers import Customers, Proof
from assistant.conversation.visitors import Visitor
from assistant.errors import ConfigError, ProofUsed
from assistant.gateway.protocol import Id, Refusal

MAX_JWT_CHARS = 4_096
MIN_SECRET_BYTES = 32
MIN_RSA_BITS = 2_048
LEEWAY_S = 5  # clocks differ

UserId = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Key = bytes | RSAPublicKey | EllipticCurvePublicKey


class SignedIdentity(BaseModel):
    """What a site hands its page: ``user_id``, ``expires``, ``signature`` (and ``nonce``), or ``jwt`` alone."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    user_id: UserId | None = None
    expires: int | None = Field(default=None, ge=0, le=2**40)
    nonce: Id | None = None
    signature: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    jwt: str | None = Field(default=None, max_length=MAX_JWT_CHARS)


@dataclass(frozen=True, slots=True)
class _Verifier:
    """One tenant's way to sign, with its key."""

    tenant: str
    settings: IdentitySettings
    key: Key = field(repr=False)


class Identities:
    """Verifies signed identities. Raises `ConfigError` where a tenant's key is missing, weak, or of another kind."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        named = {settings.tenant: settings.identity} | {n: settings.identity_of(n) for n in settings.tenants}
        self._verifiers = {
            tenant: _Verifier(tenant, identity, _load_key(tenant, identity))
            for tenant, identity in named.items()
            if identity.algorithm != "off"
        }

    def user_id(self, visitor: Visitor) -> str | None:
        """Who the site says this visitor is, while its last word on that still counts; None otherwise."""
        verifier = self._verifiers.get(visitor.tenant)
        if verifier is None or visitor.user_id is None or not visitor.signed_in_at:
            return None
        age_s = self._clock() - datetime.fromisoformat(visitor.signed_in_at).timestamp()
        return visitor.user_id if age_s < verifier.settings.session_hours * 3600 else None

    def verify(self, tenant: str, given: SignedIdentity) -> Proof:
        """What the tenant's site has signed. Raises `Refusal` for anything else."""
        verifier = self._verifiers.get(tenant)
        if verifier is None:
            raise _refusal("No signed identities are taken here.", "Set [identity] algorithm and its key.")
        proof = _of_hmac(verifier, given) if verifier.settings.algorithm == "hmac" else _of_jwt(verifier, given)
        left_s = proof.expires_at - self._clock()
        if left_s <= -LEEWAY_S:
            raise _refusal("The proof of identity has expired.", "Let the site sign a new one.")
        if left_s > verifier.settings.max_age_s + LEEWAY_S:
            limit = f"{verifier.settings.max_age_s} s ahead at most"
            raise _refusal(f"The proof of identity expires in {left_s:.0f} s.", f"Let it expire {limit}.")
        return proof


async def sign_in(
    customers: Customers, proof: Proof, *, visitor_id: str | None, known: Visitor | None, is_current: bool
) -> tuple[Visitor, str | None]:
    """The customer of a verified proof, with a secret for this device where it has none of theirs yet.

    ``known`` is who the device has proved to be so far, ``is_current`` whether that still counts as signed in, and
    ``visitor_id`` who it says it is. Raises `Refusal`.
    """
    customer = await customers.find(proof.tenant, proof.user_id)
    if customer is not None and known is not None and known.visitor_id == customer.visitor_id and is_current:
        return known, None
    if visitor_id is not None and known is None and (customer is None or customer.visitor_id != visitor_id):
        raise _refusal("visitor_id is not this customer's.", "Send its visitor_secret too, or leave it out.")
    try:
        return await customers.sign_in(proof, anonymous=known)
    except ProofUsed as error:
        raise _refusal(error.message, error.fix) from error


def _of_hmac(verifier: _Verifier, given: SignedIdentity) -> Proof:
    if given.jwt is not None or given.user_id is None or given.expires is None or given.signature is None:
        raise _refusal("The identity is not signed by HMAC.", "Send user_id, expires and signature.")
    signed = signed_text(verifier.tenant, given.user_id, given.expires, nonce=given.nonce)
    assert isinstance(verifier.key, bytes), "a shared secret"
    expected = hmac.new(verifier.key, signed, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, given.signature):
        raise _refusal("The identity's signature is wrong.", "Sign tenant, expires and user_id with the site's key.")
    return Proof(verifier.tenant, given.user_id, given.expires, _digest(b"hmac\n" + signed))


def signed_text(tenant: str, user_id: str, expires: int, *, nonce: str | None = None) -> bytes:
    """What a site signs with HMAC-SHA256: one value a line, the nonce only where there is one."""
    return "\n".join([tenant, str(expires), user_id, *([nonce] if nonce else [])]).encode()


def _of_jwt(verifier: _Verifier, given: SignedIdentity) -> Proof:
    if given.jwt is None or given.user_id is not None or given.signature is not None:
        raise _refusal("The identity is no JSON Web Token.", "Send jwt alone.")
    claims = _claims(verifier, given.jwt)
    user_id, expires_at = claims["sub"], int(claims["exp"])
    if not 1 <= len(user_id) <= 200 or not user_id.isprintable():
        raise _refusal("The token's sub is no user id.", "Use 1 to 200 printable characters.")
    # The signature is left out: an ES256 one can be turned into another that is valid as well.
    return Proof(verifier.tenant, user_id, expires_at, _digest(given.jwt.rpartition(".")[0].encode()))


def _claims(verifier: _Verifier, token: str) -> dict[str, Any]:
    settings = verifier.settings
    try:
        return jwt.decode(
            token,
            verifier.key,
            algorithms=[settings.algorithm],
            audience=settings.audience or verifier.tenant,
            issuer=settings.issuer or None,
            leeway=LEEWAY_S,
            options={"require": ["exp", "sub", "aud"], "enforce_minimum_key_length": True},
        )
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
        why = type(error).__name__  # never the token's own words
        raise _refusal(
            f"The token is refused ({why}).", f"Sign it with {settings.algorithm}; aud, exp, sub."
        ) from error


def _digest(signed: bytes) -> str:
    return hashlib.sha256(signed).hexdigest()


def _refusal(message: str, fix: str) -> Refusal:
    return Refusal("unauthorized", message, fix=fix)


def _load_key(tenant: str, settings: IdentitySettings) -> Key:
    raw = _read_key(tenant, settings)
    if settings.algorithm in ("hmac", "HS256"):
        return _shared_secret(tenant, raw)
    try:
        key = load_pem_public_key(raw)
    except ValueError as error:
        raise _unfit(tenant, "is no public key in PEM", "Give the public key, never the private one.") from error
    if settings.algorithm == "RS256" and isinstance(key, RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        return key
    if settings.algorithm == "ES256" and isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return key
    raise _unfit(
        tenant, f"is none for {settings.algorithm}", f"RSA with {MIN_RSA_BITS} bits for RS256, P-256 for ES256."
    )


def _shared_secret(tenant: str, raw: bytes) -> bytes:
    if b"-----BEGIN" in raw:
        raise _unfit(tenant, "is a PEM file, not a shared secret", "Everybody may know a public key.")
    if len(raw) < MIN_SECRET_BYTES:
        raise _unfit(tenant, f"has {len(raw)} bytes", f"Use {MIN_SECRET_BYTES} at least: openssl rand -hex 32.")
    return raw


def _read_key(tenant: str, settings: IdentitySettings) -> bytes:
    if settings.key_file is None:
        if not (text := os.environ.get(settings.key_env, "")):
            raise _unfit(tenant, f"is not in the environment variable {settings.key_env}", "Set it.")
        return text.strip().encode()
    try:
        return settings.key_file.read_bytes().strip()
    except OSError as error:
        raise _unfit(
            tenant, f"cannot be read from {settings.key_file}: {error.strerror}", "Correct key_file."
        ) from error


def _unfit(tenant: str, what: str, fix: str) -> ConfigError:
    return ConfigError(f"The identity key of the tenant {tenant} {what}.", fix=fix)
