"""The description of the API as pages show it. `make reference` writes openapi.json from the views."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

FILE: Final = Path(__file__).with_name("openapi.json")
METHODS: Final = ("get", "post", "patch", "delete")
_CODE: Final = re.compile(r"`([^`]+)`")


class Part(NamedTuple):
    """A part of a sentence: plain text, or code."""

    text: str
    is_code: bool


class Member(NamedTuple):
    """A parameter, or a member of a body."""

    name: str
    place: str
    """`path`, `query`, `header` or `body`."""
    kind: str
    """What it takes, in words."""
    is_required: bool
    about: list[Part]


class ErrorCode(NamedTuple):
    """An error with which an operation may answer."""

    code: str
    status: int


class Operation(NamedTuple):
    """One operation, as a section of the page."""

    id: str
    method: str
    path: str
    summary: str
    about: list[Part]
    parameters: list[Member]
    body: list[Member]
    example: str
    """An example of the body; empty if the operation takes none."""
    status: int
    """The status of the answer, if all is well."""
    answer: list[Member]
    errors: list[ErrorCode]
    can_be_tried: bool
    """Whether a token of the page's reader will do."""

    @property
    def has_body(self) -> bool:
        """Whether it takes a body."""
        return bool(self.example)


class Group(NamedTuple):
    """The operations under one heading."""

    id: str
    title: str
    operations: list[Operation]


@cache
def description() -> Mapping[str, Any]:
    """Return the description, whose server is `{portal}`."""
    described: Mapping[str, Any] = json.loads(FILE.read_text())
    return described


@cache
def groups() -> tuple[Group, ...]:
    """Return all operations by heading, in the order of the description."""
    found: dict[str, list[Operation]] = {}
    for path, operations in description()["paths"].items():
        for method in METHODS:
            if method in operations:
                found.setdefault(operations[method]["tags"][0], []).append(_operation(path, method, operations[method]))
    return tuple(Group(title.lower().replace(" ", "-"), title, operations) for title, operations in found.items())


def parts_of(text: str) -> list[Part]:
    """Return the parts of a sentence that has code between backticks."""
    return [Part(part, bool(number % 2)) for number, part in enumerate(_CODE.split(text)) if part]


def _operation(path: str, method: str, described: Mapping[str, Any]) -> Operation:
    status = next(code for code in described["responses"] if code.startswith("2"))
    return Operation(
        id=described["operationId"],
        method=method.upper(),
        path=path,
        summary=described["summary"],
        about=parts_of(described["description"]),
        parameters=[_parameter(parameter) for parameter in described.get("parameters", ())],
        body=list(_members(_schema_in(described.get("requestBody")))),
        example=_example(described),
        status=int(status),
        answer=list(_members(_schema_in(described["responses"][status]))),
        errors=list(_errors(described["responses"])),
        can_be_tried="access_token" in str(described["security"]) and described["tags"] == ["Keys"],
    )


def _parameter(parameter: Mapping[str, Any]) -> Member:
    about = parts_of(parameter.get("description", ""))
    return Member(
        parameter["name"], parameter["in"], _kind(parameter["schema"]), parameter.get("required", False), about
    )


def _schema_in(holder: Mapping[str, Any] | None) -> Mapping[str, Any]:
    content: Mapping[str, Any] = holder.get("content", {}) if holder else {}
    described: Mapping[str, Any] = next(iter(content.values()), {})
    return _resolved(described.get("schema", {}))


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in schema:
        return schema
    found: Mapping[str, Any] = description()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def _members(schema: Mapping[str, Any]) -> Iterator[Member]:
    required: Sequence[str] = schema.get("required", ())
    for name, member in schema.get("properties", {}).items():
        yield Member(name, "body", _kind(member), name in required, parts_of(member.get("description", "")))


def _kind(schema: Mapping[str, Any]) -> str:
    """Return what a schema takes, in words."""
    if "anyOf" in schema or "oneOf" in schema:
        return " or ".join(_kind(one) for one in schema.get("anyOf") or schema["oneOf"])
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return " or ".join(str(value) for value in schema["enum"] if value is not None)
    if "$ref" in schema:
        return "object"
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        return f"list of {_kind(schema['items'])}s"
    return "time" if schema.get("format") == "date-time" else str(kind)


def _example(described: Mapping[str, Any]) -> str:
    if "requestBody" not in described:
        return ""
    content = next(iter(described["requestBody"]["content"].values()))
    examples = list(content.get("examples", {}).values())
    return json.dumps(examples[0]["value"] if examples else {}, indent=2, ensure_ascii=False)


def _errors(responses: Mapping[str, Any]) -> Iterator[ErrorCode]:
    for status, response in responses.items():
        if not status.startswith("2"):
            yield from (ErrorCode(code, int(status)) for code in _CODE.findall(response["description"]))
