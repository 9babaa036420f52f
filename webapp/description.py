"""The API's OpenAPI description, as its answers are: FastAPI describes errors of its own."""

from typing import Any

from fastapi import FastAPI

ERROR = "Error"
ERROR_SCHEMA = {
    "type": "object",
    "title": ERROR,
    "properties": {
        "error": {"type": "string", "description": "what is wrong, for people"},
        "kind": {"type": "string", "description": "the same in a word, for programs"},
    },
    "required": ["error", "kind"],
}
# FastAPI's words for arguments that do not fit, which here are a 400 like any other.
OWN_STATUS, OWN_SCHEMAS = "422", ("HTTPValidationError", "ValidationError")
BAD_ARGUMENTS = {"description": "an argument is not as it should be"}


def describe(app: FastAPI) -> None:
    """Make the application's description say what its errors look like."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _corrected(described())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _corrected(schema: dict[str, Any]) -> dict[str, Any]:
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    for name in OWN_SCHEMAS:
        schemas.pop(name, None)
    schemas[ERROR] = ERROR_SCHEMA
    operations = (operation for path in schema["paths"].values() for operation in path.values())
    for operation in operations:
        responses = operation["responses"]
        if responses.pop(OWN_STATUS, None):
            responses.setdefault("400", dict(BAD_ARGUMENTS))
        for status, response in responses.items():
            if int(status) >= 400:
                reference = {"$ref": f"#/components/schemas/{ERROR}"}
                response["content"] = {"application/json": {"schema": reference}}
    return schema
