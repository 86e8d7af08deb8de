"""Exchange: one request from a client to an instance, and its answer back."""

import asyncio
import errno
from time import monotonic
from typing import Protocol

from host.edge.answers import Answer, BadAnswer, head_parts
from host.edge.backend import Backend
from host.edge.counts import ABORTED, RESET, SERVER_ERROR, TIMEOUT
from host.edge.limits import Limits
from host.edge.problems import Problems
from host.edge.requests import Request
from host.edge.target import Target
from host.edge.tunnel import Tunnel
from host.edge.upstream import Upstream

HELD = 65_536  # bytes of a body kept until there is an instance, or to be sent again
INFORMATION = 0  # index of the class 1xx
# No instance is to blame for these.
OUR_FAULTS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL)


class Client(Protocol):
    """The client's side of an exchange."""

    @property
    def draining(self) -> bool: ...  # the edge ends: no further request on this connection
    @property
    def blocked(self) -> bool: ...  # it does not read
    def write(self, data: bytes) -> None: ...
    def write_eof(self) -> None: ...
    def hold(self, held: bool) -> None: ...  # read no further, or go on
    def wait(self, seconds: float) -> None: ...  # until `Exchange.expire`
    def answer(self, status: int, reason: str, version: str) -> None: ...  # and end
    def end(self, keep_alive: bool) -> None: ...
    def begin_tunnel(self, tunnel: Tunnel) -> None: ...
    def close(self) -> None: ...
    def break_off(self) -> None: ...


class Exchange:
    """Sends one request to an instance of a target, and its answer to the client.

    Whatever happens, each instance that was tried counts exactly one start and one end.
    """

    __slots__ = (
        "_answer", "_backend", "_chunked", "_client", "_complete", "_cookie", "_ended", "_keep",
        "_limits", "_ms", "_out", "_problems", "_retried", "_since", "_stalled",
        "_target", "_task", "_tried", "_up", "_uploading", "_upstream", "method", "request",
    )  # fmt: skip

    def __init__(
        self, client: Client, target: Target, request: Request, limits: Limits, problems: Problems
    ) -> None:
        self.request = request
        self.method = request.method
        self._client = client
        self._target = target
        self._limits = limits
        self._problems = problems
        self._backend: Backend | None = None
        self._upstream: Upstream | None = None
        self._task: asyncio.Task[None] | None = None
        self._tried: tuple[Backend, ...] = ()
        self._answer: Answer | None = None
        self._out: list[bytes] = []  # for the client, from one read of the instance
        self._up: list[bytes] = []  # for the instance, from one read of the client
        self._cookie = b""
        self._since = monotonic()  # the whole request was there, as far as we know
        self._ms = -1.0  # until the first byte of the answer
        self._uploading = True  # the end of the request is not sent yet
        self._stalled = False  # the instance does not read
        self._retried = self._chunked = self._complete = self._keep = self._ended = False

    def begin(self) -> None:
        """Choose an instance and send what there is of the request."""
        backend, self._cookie = self._target.choose(self.request)
        if backend is None:
            self._ended = True
            self._target.refuse(503)
            self._client.answer(503, "this target serves nobody now", "")
        else:
            self._try(backend)

    @property
    def answered(self) -> bool:
        """Whether the client got a part of the answer."""
        return self._answer is not None and not self._out

    def waited_ms(self, now: float) -> float:
        """Milliseconds from the end of the request to the answer's first byte, or until now."""
        if self._ms >= 0:
            return self._ms
        return 0 if self._awaits_body() else (now - self._since) * 1_000

    # What the client does.

    def on_request_body(self, data: bytes) -> None:
        request, upstream = self.request, self._upstream
        request.expects = False
        if upstream is not None:
            self._up.append(data)
        if request.spent:
            return
        request.body.append(data)
        full = sum(map(len, request.body)) > HELD
        if upstream is None:
            self._client.hold(full)
        elif full or not upstream.reused:
            request.spend()

    def flush_request(self) -> None:
        """Send on what one read of the client brought."""
        if self._upstream is None or not self._uploading or self._ended:
            return
        pieces, self._up = self._up, []
        self._upstream.write(self.request.framed(pieces))
        self._uploading = not self.request.complete
        self._since = monotonic()
        self._await_client()

    def on_client_blocked(self, blocked: bool) -> None:
        """Read the instance no faster than the client reads us."""
        if self._upstream is not None:
            self._upstream.pause(blocked)
        if self._answer is not None:
            limits = self._limits
            self._client.wait(limits.body_idle_s if blocked else limits.answer_idle_s)

    def on_client_gone(self) -> None:
        """The client went away; what the instance answered badly before stays bad."""
        failed = self._answer is not None and self._answer.status >= 500
        self._end(SERVER_ERROR if failed else ABORTED)

    def expire(self) -> None:
        """Nothing happened for as long as was to be waited."""
        if self._answer is None and self._upstream is not None and self._awaits_body():
            self._end(ABORTED)
            self._client.answer(408, "the body of the request did not come", self._label())
        elif self._client.blocked:
            self._end(ABORTED)
            self._client.break_off()
        else:
            self._fail(TIMEOUT, 504, "the instance did not answer in time")

    # What the instance does.

    def on_interim(self, answer: Answer) -> None:
        if self.request.modern:
            self._client.write(b"".join(self._head(answer, True, b"")))
        self.request.expects = False
        self._await_client()

    def on_head(self, answer: Answer) -> None:
        request = self.request
        if answer.status == 101 and not request.upgrade:
            raise BadAnswer("101 to a request that asked for no other protocol")
        self._answer = answer
        self._ms = (monotonic() - self._since) * 1_000
        sized = not (answer.chunked or answer.until_close)
        self._keep = (
            request.keep_alive
            and request.complete
            and (sized or request.modern)
            and not self._client.draining
        )
        self._chunked = not sized and request.modern and not answer.empty
        self._out += self._head(answer, self._keep, self._cookie)

    def _head(self, answer: Answer, keep: bool, cookie: bytes) -> list[bytes]:
        assert self._backend is not None
        last = self._backend.version_line
        return head_parts(answer, self.request, last, keep_alive=keep, cookie=cookie)

    def on_body(self, data: bytes) -> None:
        if self._chunked:
            self._out += (b"%x\r\n" % len(data), data, b"\r\n")
        else:
            self._out.append(data)

    def on_end(self) -> None:
        if self._chunked:
            self._out.append(b"0\r\n\r\n")
        self._complete = True

    def flush(self) -> None:
        """Hand the client what one read of the instance brought."""
        if self._ended:
            return
        out, self._out = self._out, []
        if out:
            self._client.write(b"".join(out))
        answer = self._answer
        if answer is None:
            return
        if answer.status == 101:
            self._change_protocol()
        elif self._complete:
            self._end(answer.status // 100 - 1)
            self._client.end(self._keep)
        elif not self._client.blocked:
            self._client.wait(self._limits.answer_idle_s)

    def on_lost(self, why: str) -> None:
        """The connection broke, or said what is not HTTP."""
        if self._ended:
            return
        upstream = self._upstream
        assert upstream is not None
        kept = upstream.reused and not upstream.spoke  # closed while it was kept, most likely
        if kept and not self._retried and self.request.repeatable:
            self._retried = True
            self._upstream = None
            self._connect()
            return
        self._problems.tell("answer", f"{self._where()}: {why}")
        self._fail(RESET, 502, "the instance broke off")

    def on_blocked(self, blocked: bool) -> None:
        """Read the client no faster than the instance reads us."""
        self._stalled = blocked
        self._client.hold(blocked)
        self._await_client()

    def cut(self) -> None:
        """End it now: the edge can not wait any longer."""
        if not self._ended:
            self._end(ABORTED)
            self._client.break_off()

    # Our own steps.

    def _try(self, backend: Backend) -> None:
        self._backend = backend
        backend.start(self)
        upstream = backend.take()
        if upstream is None:
            self._connect()
        else:
            self._send(upstream)

    def _connect(self) -> None:
        self._client.wait(self._limits.connect_s + 1)
        self._task = asyncio.get_running_loop().create_task(self._connecting())

    async def _connecting(self) -> None:
        backend = self._backend
        assert backend is not None
        try:
            upstream = await backend.connect()
        except (OSError, TimeoutError) as error:
            if not self._ended:
                self._miss(backend, error)
            return
        if self._ended:
            upstream.close()
        else:
            self._send(upstream)

    def _miss(self, backend: Backend, error: Exception) -> None:
        """Let another instance have it: of the same version if there is one."""
        if isinstance(error, OSError) and error.errno in OUR_FAULTS:
            self._problems.tell("fault", f"{self._where()}: {error}")
            self._fail(ABORTED, 503, "the edge has no connection left")
            return
        self._tried += (backend,)
        other = self._target.other(backend, self._tried)
        self._problems.tell("connect", f"{self._where()}: {error or 'no answer in time'}")
        backend.fail_to_connect(
            self, self.waited_ms(monotonic()), self.request.client, other is not None
        )
        if other is None:
            self._ended = True
            self._client.answer(502, "no instance can be reached", self._label())
        else:
            self._cookie = self._target.cookie_for(other, self.request)
            self._try(other)

    def _send(self, upstream: Upstream) -> None:
        self._upstream = upstream
        request = self.request
        body = request.body
        if body or request.chunked:
            upstream.send(self, request.head + request.framed(body))
        else:
            upstream.send(self, request.head)
        self._uploading = not request.complete
        client = self._client
        if body:
            client.hold(False)
            if not upstream.reused:
                request.spend()
        if client.blocked:
            upstream.pause(True)
        if request.complete:
            client.wait(self._target.timeout_s)
        else:
            self._await_client()

    def _await_client(self) -> None:
        """Wait for the rest of the request, or for the answer."""
        awaits_body = self._uploading and self._awaits_body()
        self._client.wait(self._limits.body_idle_s if awaits_body else self._target.timeout_s)

    def _awaits_body(self) -> bool:
        """Whether it is the client's turn: not while the instance has to let it go on."""
        return self._uploading and not self._stalled and not self.request.expects

    def _change_protocol(self) -> None:
        """Count the 101, and let bytes pass both ways from now on."""
        backend, upstream = self._backend, self._upstream
        assert backend is not None
        assert upstream is not None
        self._ended = True
        backend.end(self, INFORMATION, self._ms, self.request.client)
        tunnel = Tunnel(self._client, upstream, backend, self._limits)
        upstream.begin_tunnel(tunnel)
        self._client.begin_tunnel(tunnel)

    def _fail(self, kind: int, status: int, reason: str) -> None:
        """End with an answer of our own, or, where a part of one is gone, without its end."""
        self._end(kind)
        if self.answered:
            self._client.break_off()
        else:
            self._client.answer(status, reason, self._label())

    def _end(self, kind: int) -> None:
        """Count, and part from the instance."""
        if self._ended:
            return
        self._ended = True
        backend, upstream = self._backend, self._upstream
        assert backend is not None
        now = monotonic()
        ms = self._ms if self._ms >= 0 else self.waited_ms(now)
        backend.end(self, kind, ms, self.request.client)
        if upstream is None:
            return
        if self._complete and upstream.reusable and not self._uploading:
            backend.give_back(upstream, now)
        else:
            upstream.abort()

    def _label(self) -> str:
        return self._backend.label if self._backend is not None else ""

    def _where(self) -> str:
        route = self._backend.route if self._backend is not None else None
        return f"{self._target.name} {route and route.instance} at {route and route.address}"
