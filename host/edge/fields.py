"""Header fields as a parser finds them: lines that are passed on, and those that are read here."""

PLAIN, DROPPED = b"", b"-"
MOST_KINDS = 4_096
LINE = 4  # parts of a line: name, colon, value, end
Known = dict[bytes, list[bytes]]


class Kinds(dict[bytes, bytes]):
    """What is done with a field, by its name as it was written, remembered for a while.

    `PLAIN` fields are passed on, `DROPPED` ones not; the others are known by their small name.
    """

    def __init__(self, read: frozenset[bytes], dropped: frozenset[bytes]) -> None:
        super().__init__()
        self._read = read
        self._dropped = dropped

    def __missing__(self, name: bytes) -> bytes:
        key = name.lower()
        kind = PLAIN
        if key in self._dropped:
            kind = DROPPED
        elif key in self._read:
            kind = key
        if len(self) >= MOST_KINDS:
            self.clear()
        self[name] = kind
        return kind


class Fields:
    """Collects the fields of one message after another."""

    __slots__ = ("_kinds", "known", "lines", "repeats")

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self.lines: list[bytes] = []  # in parts, `LINE` each
        self.known: Known = {}
        self.repeats = 0  # of known fields

    def begin(self) -> None:
        """Begin with the next message; what trailers left is forgotten."""
        if self.lines or self.known:
            self.take()

    def add(self, name: bytes, value: bytes) -> None:
        kind = self._kinds[name]
        if kind is PLAIN:
            self.lines += (name, b": ", value, b"\r\n")
        elif kind in self.known:
            self.known[kind].append(value)
            self.repeats += 1
        else:
            self.known[kind] = [value]

    @property
    def count(self) -> int:
        return len(self.lines) // LINE + len(self.known) + self.repeats

    def take(self) -> tuple[list[bytes], Known]:
        """Return lines and known fields, and begin anew."""
        taken = self.lines, self.known
        self.lines, self.known, self.repeats = [], {}, 0
        return taken


def named_by(connection: list[bytes]) -> frozenset[bytes]:
    """Return the tokens of Connection in small letters (RFC 9110 7.6.1)."""
    return frozenset(token.strip().lower() for token in b",".join(connection).split(b","))


def without(lines: list[bytes], names: frozenset[bytes]) -> list[bytes]:
    """Return the lines whose names are not among these."""
    fields = zip(*(lines[at::LINE] for at in range(LINE)), strict=True)
    return [part for field in fields if field[0].lower() not in names for part in field]


def size_of(lines: list[bytes], known: Known) -> int:
    """Return how many bytes the fields take, about."""
    values = [value for values in known.values() for value in values]
    return sum(map(len, lines)) + sum(map(len, values)) + LINE * len(values)
