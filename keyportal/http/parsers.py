"""The parser for request bodies of the API, which are JSON."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import JSONParser as FrameworkJSONParser
from typing_extensions import override

from credentials.json_body import parse


class JSONParser(FrameworkJSONParser):
    """REST framework's JSON parser, made strict."""

    @override
    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        value: dict[str, Any] = parse(stream.read())
        return value
