"""CEL (Common Expression Language) over the facts of one decision; Google's engine."""

import re
from functools import lru_cache

from cel_expr_python import cel

from domain.policy import Facts, Holds

LONGEST = 2_000  # characters of one expression
OPERATORS = ("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in", "_&&_", "_||_", "!_")
FUNCTIONS = ("size", "startsWith", "endsWith", "contains")
_REASON = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*?)(?: \(in container ''\))?$", re.MULTILINE)


class Cel:
    """Checks names and types when a policy is loaded, and evaluates without surprises.

    Only comparisons, `in`, and, or, not and four text functions exist: nothing can loop, divide
    or index, so what passes the check can hardly fail. If it does the engine answers with an
    error *value* that is true in Python; that is why only `True` and `False` themselves count.
    """

    def __init__(self) -> None:
        self._environment = cel.NewEnv(config=cel.NewEnvConfigFromYaml(_declarations()))
        self._compiled = lru_cache(maxsize=2_000)(self._compile)

    def problem(self, expression: str) -> str:
        """Return what is wrong with an expression; empty: it is a condition over the facts."""
        return self._compiled(expression)[1]

    def bind(self, facts: Facts) -> Holds:
        """Return the evaluation over these facts; all of them are bound once."""
        data = {name: _plain(getattr(facts, name)) for name in Facts.model_fields}
        activation = self._environment.Activation(data)

        def holds(expression: str) -> bool | None:
            compiled, _ = self._compiled(expression)
            answer = compiled.eval(activation).value() if compiled else None
            return answer if answer is True or answer is False else None

        return holds

    def _compile(self, expression: str) -> tuple[cel.Expression | None, str]:
        if len(expression) > LONGEST:
            return None, f"the expression is longer than {LONGEST} characters"
        try:
            compiled = self._environment.compile(expression)
        except (RuntimeError, ValueError) as error:
            return None, _told(str(error))
        kind = compiled.return_type().name()
        if kind != "BOOL":
            return None, f"the expression gives {kind.lower()}, not true or false"
        return compiled, ""


def _declarations() -> str:
    """Write the environment as the engine reads it: the facts, and what may be done with them."""
    lines = ["name: facts", "variables:"]
    for name, field in Facts.model_fields.items():
        lines += [f"  - name: {name}", *_declared_type(field.annotation)]
    lines += ["stdlib:", "  disable_macros: true", "  include_functions:"]
    lines += [f'    - name: "{name}"' for name in (*OPERATORS, *FUNCTIONS)]
    return "\n".join(lines)


def _declared_type(annotation: object) -> list[str]:
    simple = {bool: "bool", int: "int", str: "string"}
    if isinstance(annotation, type) and annotation in simple:
        return [f"    type_name: {simple[annotation]}"]
    if annotation == tuple[str, ...]:
        return ["    type_name: list", "    params: [{type_name: string}]"]
    return ["    type_name: string"]  # a literal of texts


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _told(error: str) -> str:
    found = _REASON.search(error)
    if not found:
        return "the expression is too deep or cannot be read"
    _, column, reason = found.groups()
    return f"at character {column}: {reason}"[:300]
