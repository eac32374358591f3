"""Whether JSON is what a type says. A portal of another version is noticed here, not as a KeyError somewhere."""

from functools import cache
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints, is_typeddict

from keyportal_client.errors import UnexpectedAnswerError

Shape = TypeVar("Shape")


def conform(value: Any, shape: type[Shape]) -> Shape:
    """Return the value, which has at least the members of the shape. Raises `UnexpectedAnswerError`."""
    if not _conforms(value, shape):
        raise UnexpectedAnswerError("The portal's answer is not what this client knows. One of the two is too old.")
    return cast("Shape", value)


def _conforms(value: Any, shape: Any) -> bool:
    if is_typeddict(shape):
        members = _members(shape)
        return isinstance(value, dict) and all(
            name in value and _conforms(value[name], member) for name, member in members.items()
        )
    origin, arguments = get_origin(shape), get_args(shape)
    if origin is Annotated:
        text, pattern = arguments
        return isinstance(value, text) and pattern.fullmatch(value) is not None
    if origin in (Union, UnionType):
        return any(_conforms(value, one) for one in arguments)
    if origin is list:
        return isinstance(value, list) and all(_conforms(item, arguments[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(_conforms(item, arguments[1]) for item in value.values())
    if shape is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, shape)


@cache
def _members(shape: Any) -> dict[str, Any]:
    return get_type_hints(shape, include_extras=True)
