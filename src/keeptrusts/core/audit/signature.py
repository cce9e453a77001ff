"""Ed25519 signatures (RFC 8032): the same seed and data always give the same one. Keys and signatures travel as hex."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SEED_BYTES = 32


def public_key_of(seed: bytes) -> str:
    """The public key of a seed of ``SEED_BYTES``."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw().hex()


def sign(seed: bytes, data: bytes) -> str:
    """The signature over ``data``."""
    return Ed25519PrivateKey.from_private_bytes(seed).sign(data).hex()


def holds(public_key: str, signature: str, data: bytes) -> bool:
    """Whether the holder of that key's seed signed exactly this; False for anything that is no key or no signature."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(bytes.fromhex(signature), data)
    except (InvalidSignature, ValueError):
        return False
    return True
