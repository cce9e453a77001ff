"""The part of the cache that several gateways share, in Redis or Valkey. It may be slow, away, full of nonsense or in
somebody else's hands: then it is as if it were empty, and no call waits for it longer than a moment.

What is kept there is sealed (AES-GCM) with a secret of the deployment, under a name that tells nobody what was asked: who
can write there can neither read answers nor put in his own, nor move one to another question.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from keeptrusts.gateway.cache import MAX_ENTRY_BYTES, Kept

log = logging.getLogger("keeptrusts::gateway")

LOOK_UP_S = 0.025
"""How long a call waits for the store."""
AT_MOST_S = 1.0
"""How long anything may take that nobody waits for."""
CONNECTIONS = 64
"""As many look-ups are under way at once, and as many writes; what is more goes without."""
FAILURES = 5
"""After as many failures, one after the other, nobody asks for REST_S seconds."""
REST_S = 5.0

PREFIX = b"keeptrusts:answer:1:"
NONCE_BYTES = 12
MAX_SEALED_BYTES = MAX_ENTRY_BYTES + 4_096

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Kept).decode


class Seal:
    """Writes and reads what others must not, with a secret of 32 bytes."""

    def __init__(self, secret: bytes) -> None:
        self._name_key = blake2b(b"name", key=secret, digest_size=32).digest()
        self._cipher = AESGCM(blake2b(b"answer", key=secret, digest_size=32).digest())

    def name(self, key: bytes) -> bytes:
        """Under which name the store has it."""
        return PREFIX + blake2b(key, key=self._name_key, digest_size=24).hexdigest().encode()

    def close(self, kept: Kept, name: bytes) -> bytes:
        """The answer as it is stored under that name."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, _encode(kept), name)

    def open(self, sealed: bytes, name: bytes) -> Kept | None:
        """The answer, or None for what was not sealed by us under that name."""
        if len(sealed) > MAX_SEALED_BYTES:
            return None
        try:
            return _decode(self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], name))
        except (InvalidTag, ValueError, msgspec.DecodeError):
            return None


class FarCache:
    """Answers in the store at ``url``. ``now`` is a monotonic clock."""

    def __init__(self, url: str, now: Callable[[], float]) -> None:
        self.url = url
        self.seal: Seal | None = None
        self._now = now
        self._redis: Redis = Redis.from_url(
            url,
            protocol=2,
            socket_timeout=AT_MOST_S,
            socket_connect_timeout=AT_MOST_S,
            retry=Retry(NoBackoff(), 0),
            driver_info=None,
        )
        self._looking = 0
        self._failures = 0
        self._rests_until = 0.0
        self._writing = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    async def get(self, key: bytes) -> Kept | None:
        """The answer under this key. None too when the store does not say in time."""
        seal = self.seal
        if seal is None or self._looking >= CONNECTIONS or self._now() < self._rests_until:
            return None
        self._looking += 1
        name = seal.name(key)
        # A look-up that is too slow goes on by itself: else a connection that takes longer to make would never be there.
        task = asyncio.get_running_loop().create_task(self._read(name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait((task,), timeout=LOOK_UP_S)
        if task.cancelled():
            return None  # closed meanwhile: other rules hold
        sealed = task.result() if task.done() else TimeoutError()
        if isinstance(sealed, Exception):
            self._failed(sealed)
            return None
        if self._failures >= FAILURES:
            log.info("The shared cache answers again.")
        self._failures = 0
        return seal.open(sealed, name) if sealed else None

    async def _read(self, name: bytes) -> bytes | Exception:
        try:
            async with asyncio.timeout(AT_MOST_S):
                # No more than an answer can be, whatever stands there.
                found = await self._redis.getrange(name, 0, MAX_SEALED_BYTES)
                return found if isinstance(found, bytes) else b""
        except Exception as error:
            # Whatever is wrong with the store, or with its address's options, is no call's concern.
            return error
        finally:
            self._looking -= 1

    def put(self, key: bytes, kept: Kept, ttl_s: int) -> None:
        """Leaves an answer there for others, by and by. Nobody waits for it; it may not come there."""
        seal = self.seal
        if seal is None or self._writing >= CONNECTIONS or self._now() < self._rests_until:
            return
        self._writing += 1
        name = seal.name(key)
        task = asyncio.get_running_loop().create_task(self._write(name, seal.close(kept, name), ttl_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, name: bytes, sealed: bytes, ttl_s: int) -> None:
        try:
            async with asyncio.timeout(AT_MOST_S):
                await self._redis.set(name, sealed, ex=ttl_s)
        except Exception as error:
            self._failed(error)
        finally:
            self._writing -= 1

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        if self._failures < FAILURES:
            return
        if self._failures == FAILURES:
            # Its message may tell where the store is, and with what it is asked.
            log.warning("The shared cache does not answer (%s): calls go on without it.", type(error).__name__)
        self._rests_until = self._now() + REST_S

    async def close(self) -> None:
        """Ends what is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._redis.aclose()
