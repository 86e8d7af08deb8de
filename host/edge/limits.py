"""What a stranger may use of the edge: bytes, counts and seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Times are seconds; each may be set with `--limit NAME=VALUE`."""

    head_bytes: int = 32_768  # request line and headers, of a request or an answer
    headers: int = 100
    head_s: float = 10  # from the first byte of a request to the end of its headers
    idle_s: float = 75  # a client connection without a request
    body_idle_s: float = 60  # a client that neither sends its body nor reads the answer
    answer_idle_s: float = 300  # an instance that goes silent in the middle of an answer
    tunnel_idle_s: float = 3_600  # both ways
    linger_s: float = 2  # a refused client may still read why
    linger_bytes: int = 1_048_576
    connect_s: float = 3
    connections: int = 4_096
    pool: int = 64  # idle connections kept to each instance
    pool_idle_s: float = 1.5  # below the 2 s after which the least patient servers close
    grace_s: float = 30  # from TERM until what is in flight is cut
    farewell_s: float = 2  # from TERM until kept-alive connections without a request are closed

    def but(self, settings: tuple[str, ...]) -> "Limits":
        """Return these limits with some `NAME=VALUE` changed; raise `ValueError`."""
        changed = {name: getattr(self, name) for name in self.__slots__}
        for setting in settings:
            name, _, value = setting.partition("=")
            if name not in changed:
                raise ValueError(f"no limit is named {name}: there are {', '.join(changed)}")
            changed[name] = type(changed[name])(float(value))
        return Limits(**changed)
