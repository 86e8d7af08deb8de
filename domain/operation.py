"""The operations of the deterministic builtin agent, as data."""

import keyword
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue

from domain.record import Record

PYTHON = ("**/*.py", "**/*.pyi")


def _inside(path: str) -> str:
    """Return `path` if it is relative, normal and neither in `.git` nor above the root."""
    parts = path.split("/")
    if not path or "\\" in path or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise ValueError("write a path relative to the root, with / and without . or ..")
    if parts[0].lower() == ".git":
        raise ValueError("the folder .git is not part of the repository's files")
    return path


TreePath = Annotated[str, Field(max_length=1_000), AfterValidator(_inside)]


def _free(name: str) -> str:
    """Return `name` if Python does not keep it for itself."""
    if keyword.iskeyword(name):
        raise ValueError(f"{name} is a keyword of Python")
    return name


Identifier = Annotated[
    str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200), AfterValidator(_free)
]
Dotted = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*)?$", max_length=500
    ),
]
Code = Annotated[str, Field(max_length=100_000)]
Globs = tuple[str, ...]


class AddFile(Record):
    """Write a new file from text; the same text already there is no edit."""

    op: Literal["add_file"] = "add_file"
    path: TreePath
    text: str
    executable: bool = False


class AddFileFromTemplate(Record):
    """Write a new file from text in which `{{name}}` stands for a value."""

    op: Literal["add_file_from_template"] = "add_file_from_template"
    path: TreePath
    template: str
    values: dict[str, str] = {}


class DeleteFile(Record):
    """Remove one file; a file that is not there is no edit."""

    op: Literal["delete_file"] = "delete_file"
    path: TreePath


class MoveFile(Record):
    """Rename one file without changing its bytes."""

    op: Literal["move_file"] = "move_file"
    path: TreePath
    to: TreePath


class ApplyPatch(Record):
    """Apply a unified diff whose context must fit exactly; applied already is no edit."""

    op: Literal["apply_patch"] = "apply_patch"
    patch: str


class ReplaceText(Record):
    """Replace exact text; `expected` is how often it must be there, 0 for any number."""

    op: Literal["replace_text"] = "replace_text"
    paths: Globs
    old: str = Field(min_length=1)
    new: str
    expected: int = Field(default=0, ge=0)


class RegexReplace(Record):
    """Replace what an RE2 pattern matches; refused where it would match its own result."""

    op: Literal["regex_replace"] = "regex_replace"
    paths: Globs
    pattern: str = Field(min_length=1, max_length=2_000)
    replacement: str = Field(max_length=10_000)
    limit: int = Field(default=500, ge=1, le=10_000)  # more matches than this are refused


class SetKey(Record):
    """Set one value in a JSON, YAML or TOML file, and keep comments and order."""

    op: Literal["set_key"] = "set_key"
    path: TreePath
    key: tuple[str | int, ...] = Field(min_length=1)
    value: JsonValue


class DependencyBump(Record):
    """Give a dependency another version in the manifests that name it.

    `version` is a plain version (`2.1.0`), which keeps each manifest's own operator, or a whole
    specifier (`>=2.1,<3`).
    """

    op: Literal["dependency_bump"] = "dependency_bump"
    name: str = Field(pattern=r"^[@A-Za-z0-9][A-Za-z0-9._/-]*$", max_length=200)
    version: str = Field(pattern=r"^[-A-Za-z0-9.,<>=!~^*+ ]+$", max_length=200)
    paths: Globs = ("**",)


class RuffFix(Record):
    """Apply ruff's safe fixes of these rules, isolated from the repository's configuration."""

    op: Literal["ruff_fix"] = "ruff_fix"
    select: tuple[Annotated[str, Field(pattern=r"^[A-Z]{1,6}[0-9]{0,4}$")], ...] = Field(
        min_length=1
    )
    ignore: tuple[Annotated[str, Field(pattern=r"^[A-Z]{1,6}[0-9]{0,4}$")], ...] = ()
    target_version: str = Field(default="", pattern=r"^(py3\d{1,2})?$")  # empty: the project's own
    paths: Globs = PYTHON


class Format(Record):
    """Format Python files with ruff; by default only those that this order has changed."""

    op: Literal["format"] = "format"
    paths: Globs = PYTHON
    changed_only: bool = True
    line_length: int = Field(default=0, ge=0, le=320)  # 0: the project's own, else 88


class RenameSymbol(Record):
    """Rename a module-level function, class or variable, or a member of a class, everywhere.

    `symbol` is `package.module.name`, or `package.module:Class.member`. `strings` says which
    string literals follow: none, those that are exactly the dotted name, or also prose.
    """

    op: Literal["rename_symbol"] = "rename_symbol"
    symbol: Dotted
    new_name: Identifier
    strings: Literal["none", "dotted", "words"] = "dotted"
    attributes: bool = False  # for members: rename each attribute of that name on any object
    paths: Globs = PYTHON


class MoveSymbol(Record):
    """Move a function, a class or a constant to another module; its importers follow."""

    op: Literal["move_symbol"] = "move_symbol"
    symbol: Dotted
    to: Dotted  # module
    paths: Globs = PYTHON


class AddParameter(Record):
    """Give a function one more parameter, and its callers an argument if `argument` is given."""

    op: Literal["add_parameter"] = "add_parameter"
    symbol: Dotted
    name: Identifier
    annotation: Code = ""
    default: Code = ""
    keyword_only: bool = False
    argument: Code = ""  # expression that each call passes by keyword
    paths: Globs = PYTHON


class ChangeDefault(Record):
    """Change the default value of a parameter."""

    op: Literal["change_default"] = "change_default"
    symbol: Dotted
    name: Identifier
    default: Code = Field(min_length=1)


class EnsureImport(Record):
    """Import a module, or a name of it, unless that is done already."""

    op: Literal["ensure_import"] = "ensure_import"
    path: TreePath
    module: Dotted
    name: Identifier | Literal[""] = ""
    alias: Identifier | Literal[""] = ""


class RemoveImport(Record):
    """Remove the import of a module, or of a name of it, where nothing uses it."""

    op: Literal["remove_import"] = "remove_import"
    module: Dotted
    name: Identifier | Literal[""] = ""
    paths: Globs = PYTHON


class RemoveDeadImports(Record):
    """Remove imports that nothing uses: neither their file nor another one through it."""

    op: Literal["remove_dead_imports"] = "remove_dead_imports"
    paths: Globs = PYTHON


class ReplaceCall(Record):
    """Call another function instead; imports follow, keyword arguments may get new names.

    `new` is `package.module.name`, `package.module:Class.method`, or the name of a builtin.
    """

    op: Literal["replace_call"] = "replace_call"
    old: Dotted
    new: Dotted
    keywords: dict[Identifier, Identifier] = {}
    paths: Globs = PYTHON


class WrapCall(Record):
    """Put each call of a function into a call of another: `f(x)` becomes `g(f(x))`."""

    op: Literal["wrap_call"] = "wrap_call"
    call: Dotted
    wrapper: Dotted
    paths: Globs = PYTHON


class AddDecorator(Record):
    """Decorate a function or a class; `decorator` is what follows the @."""

    op: Literal["add_decorator"] = "add_decorator"
    symbol: Dotted
    decorator: Code = Field(min_length=1)
    module: Dotted | Literal[""] = ""  # imports this module, or `name` of it
    name: Identifier | Literal[""] = ""


class InsertFunction(Record):
    """Add one function or class to a module, at its end or after a named definition."""

    op: Literal["insert_function"] = "insert_function"
    path: TreePath
    code: Code
    after: Identifier | Literal[""] = ""


class ReplaceFunction(Record):
    """Put new code in the place of a function, a class or a method."""

    op: Literal["replace_function"] = "replace_function"
    symbol: Dotted
    code: Code


class InsertMethod(Record):
    """Add one method at the end of a class."""

    op: Literal["insert_method"] = "insert_method"
    symbol: Dotted  # the class
    code: Code


class AddDataclassField(Record):
    """Add one annotated field to a class; with a default it goes behind the other fields."""

    op: Literal["add_dataclass_field"] = "add_dataclass_field"
    symbol: Dotted  # the class
    name: Identifier
    annotation: Code = Field(min_length=1)
    default: Code = ""


class StructuralRewrite(Record):
    """Rewrite expressions by shape: `$NAME` stands for one expression, `$$$NAME` for arguments."""

    op: Literal["structural_rewrite"] = "structural_rewrite"
    pattern: Code = Field(min_length=1)
    replacement: Code = Field(min_length=1)
    paths: Globs = PYTHON


class Criterion(Record):
    """One acceptance criterion in words with literals (see `domain.criteria`)."""

    id: str = Field(default="A", pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$")
    given: str = Field(default="", max_length=2_000)
    when: str = Field(min_length=1, max_length=2_000)
    then: str = Field(min_length=1, max_length=2_000)


def _sentences(value: object) -> object:
    """Read criteria that are sentences; those without an id are numbered A1, A2 and so on."""
    if not isinstance(value, list | tuple):
        return value
    read = [_SENTENCE.match(one) if isinstance(one, str) else one for one in value]
    return [
        {"id": f"A{number}", **one.groupdict(default="")} if isinstance(one, re.Match) else one
        for number, one in enumerate(read, 1)
    ]


_SENTENCE = re.compile(
    r"^\s*(?:given\s+(?P<given>.+?)[\s,;]+)?when\s+(?P<when>.+?)[\s,;]+then\s+(?P<then>.+?)\s*$",
    re.IGNORECASE | re.DOTALL,
)


class GenerateTests(Record):
    """Write a test per criterion; `auto` follows the style of the tests that are there.

    A criterion may be one sentence: `Given a = 2, when add(a, 3), then returns 5`.
    """

    op: Literal["generate_tests"] = "generate_tests"
    path: TreePath
    module: Dotted  # the module under test
    criteria: Annotated[tuple[Criterion, ...], BeforeValidator(_sentences)] = Field(min_length=1)
    style: Literal["auto", "pytest", "unittest"] = "auto"


class AddEndpoint(Record):
    """Answer one more route: FastAPI, Flask, or a table `ROUTES` of (method, route) to function.

    The answer is `response`, JSON, or the code of `handler`, a whole function.
    """

    op: Literal["add_endpoint"] = "add_endpoint"
    path: TreePath
    route: str = Field(pattern=r"^/[A-Za-z0-9_./{}<>:-]*$", max_length=200)
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    function: Identifier
    response: JsonValue = {}
    handler: Code = ""
    framework: Literal["auto", "fastapi", "flask", "table"] = "auto"


class AddCliOption(Record):
    """Add an option to an argparse parser or to a click command."""

    op: Literal["add_cli_option"] = "add_cli_option"
    path: TreePath
    option: str = Field(pattern=r"^--[a-z][a-z0-9-]*$", max_length=60)
    help: str = Field(default="", max_length=500)
    kind: Literal["str", "int", "float", "flag"] = "str"
    default: str | int | float | None = None
    function: Identifier | Literal[""] = ""  # a click command, or the function with the parser


class AddFeatureFlag(Record):
    """Declare a flag that the environment may switch, and put a function behind it if named."""

    op: Literal["add_feature_flag"] = "add_feature_flag"
    path: TreePath  # the module of flags; written if missing
    name: Identifier
    default: bool = False
    guard: Dotted | Literal[""] = ""  # a function that runs only while the flag is on
    otherwise: Code = "None"  # what the guarded function returns while it is off


class UpdateChangelog(Record):
    """Add one line to the unreleased section of a changelog (Keep a Changelog 1.1.0)."""

    op: Literal["update_changelog"] = "update_changelog"
    path: TreePath = "CHANGELOG.md"
    section: Literal["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"] = "Changed"
    text: str = Field(min_length=1, max_length=1_000, pattern=r"^[^\r\n]+$")


Operation = Annotated[
    AddFile
    | AddFileFromTemplate
    | DeleteFile
    | MoveFile
    | ApplyPatch
    | ReplaceText
    | RegexReplace
    | SetKey
    | DependencyBump
    | RuffFix
    | Format
    | RenameSymbol
    | MoveSymbol
    | AddParameter
    | ChangeDefault
    | EnsureImport
    | RemoveImport
    | RemoveDeadImports
    | ReplaceCall
    | WrapCall
    | AddDecorator
    | InsertFunction
    | ReplaceFunction
    | InsertMethod
    | AddDataclassField
    | StructuralRewrite
    | GenerateTests
    | AddEndpoint
    | AddCliOption
    | AddFeatureFlag
    | UpdateChangelog,
    Field(discriminator="op"),
]
