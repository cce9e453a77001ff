"""Builds the API: a FastAPI application over an open control plane, with the routes of ``routes.py`` and nothing else."""

from fastapi import Depends, FastAPI

from keeptrusts import __version__
from keeptrusts.api import errors
from keeptrusts.api.access import permit
from keeptrusts.api.exact_json import ExactRoute
from keeptrusts.api.request_id import RequestIds
from keeptrusts.api.routes import ROUTES
from keeptrusts.control.context import Control

DESCRIPTION = (
    "Tokens, wallets, prices and events of Keeptrusts. Amounts are USD with at most nine decimals, written exactly."
)


def create_app(control: Control) -> FastAPI:
    """The API over ``control``, which the caller opens before and closes after it."""
    app = FastAPI(title="Keeptrusts API", version=__version__, description=DESCRIPTION, redoc_url=None)
    app.state.control = control
    app.router.route_class = ExactRoute
    for route in ROUTES:
        app.add_api_route(
            route.path,
            route.endpoint,
            methods=[route.method],
            status_code=route.status,
            response_model=route.shape,
            dependencies=[] if route.permission == "open" else [Depends(permit(route.permission))],
            include_in_schema=route.shape is not None,
            openapi_extra=route.documented,
        )
    errors.install(app)
    app.add_middleware(RequestIds, new_id=lambda: control.tools.new_id("req"))
    return app
