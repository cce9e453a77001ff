"""`api.md`: the routes of the control plane's API, from the application's own OpenAPI description."""

from collections.abc import Mapping
from typing import Any, cast

from keeptrusts.api.access import GRANTED, Permission
from keeptrusts.api.app import create_app
from keeptrusts.api.routes import ROUTES, Route
from keeptrusts.control.context import Control
from writers.json_schema import Schema, described, kind_of, kind_when_said, shown_default
from writers.markdown import anchor, code, joined, opening, prose, table

INTRODUCTION = """\
`kt up` answers on `http://localhost:8080`; the same description for programs is at `/openapi.json`, a page to try it at `/docs`.
Send `Authorization: Bearer TOKEN`: administrators the admin token or an access key (`kt_ak_...`), gateways the token that they got when they
registered. A gateway key (`kt_gk_...`) has no rights here. Bodies are JSON whatever their Content-Type says. Amounts are USD, written exactly, with at most nine
decimals; an amount that you send may also be text. Errors have the shape and codes of [errors.md](errors.md);
every answer carries `x-request-id`. In lists, `next_cursor` of one answer is `cursor` of the next; null means that there is no more."""

WHO: Mapping[Permission, str] = {
    "open": "anybody",
    "operate": "administrators",
    "machine": "gateways",
}

OTHERS = """\
These are not in `/openapi.json`. Gateways use them by themselves, with the values of [`core/link.py`](../../src/keeptrusts/core/link.py) as
bodies; they may change with every version."""


FRAMEWORK = {"HTTPValidationError", "ValidationError"}
"""Shapes that FastAPI describes and this API never answers with: a bad request is 400, in our own shape."""


def page() -> str:
    """The whole page. Nothing is opened: routes are described without a store."""
    app = create_app(cast(Control, None))
    spec = app.openapi()
    assert {permission for granted in GRANTED.values() for permission in granted} | {"open"} == set(WHO)
    shown = [route for route in ROUTES if route.shape is not None]
    blocks = opening("The API", INTRODUCTION, _routes(shown))
    shapes, bodies = spec["components"]["schemas"], set()
    for route in shown:
        operation = spec["paths"][route.path][route.method.lower()]
        blocks += _operation(route, operation, shapes)
        bodies.add(_body(operation))
    told_elsewhere = bodies | FRAMEWORK
    blocks += ["## Shapes", *_shapes({name: shape for name, shape in shapes.items() if name not in told_elsewhere})]
    hidden = [route for route in ROUTES if route.shape is None]
    return joined([*blocks, "## Other routes", OTHERS, _routes(hidden)])


def _title(route: Route) -> str:
    return f"{route.method} {route.path}"


def _routes(routes: list[Route]) -> str:
    rows = []
    for route in routes:
        name = code(_title(route)) if route.shape is None else f"[{code(_title(route))}]({anchor(_title(route))})"
        rows.append((name, prose(route.endpoint.__doc__), WHO[route.permission]))
    return table(("Route", "Does", "Who"), rows)


def _operation(route: Route, operation: Schema, shapes: Schema) -> list[str]:
    blocks = [f"## {_title(route)}", prose(operation.get("description"))]
    if parameters := operation.get("parameters"):
        rows = [_parameter(parameter) for parameter in parameters]
        blocks.append(table(("Parameter", "Value", "Default", "Meaning"), rows))
    if name := _body(operation):
        blocks += [f"Body: {prose(shapes[name].get('description'))}", _properties(shapes[name])]
    answer = operation["responses"][str(route.status)]["content"]["application/json"]["schema"]
    return [*blocks, f"Answers {route.status} with {kind_of(answer, _link)}."]


def _body(operation: Schema) -> str:
    """The name of the body's shape; empty when there is no body."""
    body = operation.get("requestBody")
    return body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2] if body else ""


def _parameter(parameter: Mapping[str, Any]) -> tuple[str, str, str, str]:
    schema = parameter["schema"]
    words = prose(parameter.get("description")) or described(schema)
    where = code(parameter["name"])
    kind = kind_when_said(schema, _link)
    return where, kind, shown_default(schema, parameter["required"]), words


def _link(name: str) -> str:
    return f"[{name}]({anchor(name)})"


def _properties(shape: Schema) -> str:
    required = shape.get("required", ())
    rows = [
        (code(name), kind_of(inner, _link), shown_default(inner, name in required), described(inner))
        for name, inner in shape.get("properties", {}).items()
    ]
    return table(("Field", "Value", "Default", "Meaning"), rows)


def _shapes(shapes: Schema) -> list[str]:
    blocks = []
    for name, shape in shapes.items():
        rows = [
            (code(field), kind_of(inner, _link), described(inner))
            for field, inner in shape.get("properties", {}).items()
        ]
        blocks += [f"### {name}", prose(shape.get("description")), table(("Field", "Value", "Meaning"), rows)]
    return blocks
