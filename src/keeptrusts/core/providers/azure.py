"""Where Azure OpenAI answers: its v1 API, which is OpenAI's, or a deployment's own address with a version of the API.

Source: "Azure OpenAI in Azure AI Foundry Models REST API reference".
"""

from collections.abc import Callable
from urllib.parse import quote

DEPLOYMENTS = "/openai/deployments/"
WITHOUT_DEPLOYMENT = ("/responses", "/models")
"""Routes that stand beside the deployments, not below one of them."""

PathOf = Callable[[str], str]
"""From a route below the base URL to what is asked for, query included, below the base URL's path."""


def names_deployment(base_url: str) -> bool:
    """Whether the address says what is called: a deployment, or the v1 API, which reads it from the body."""
    return DEPLOYMENTS in base_url or base_url.endswith("/openai/v1")


def deployment_address(base_url: str, model: str | None, api_version: str) -> tuple[str, PathOf]:
    """The address to connect to, and what is asked for there. ``model`` names the deployment where the address does not."""
    query = f"?api-version={quote(api_version, safe='')}"
    base_url = base_url.rstrip("/")
    if base_url.endswith("/openai/v1"):
        return base_url, lambda path: path + query
    root, _, deployment = base_url.partition(DEPLOYMENTS)
    root = root.removesuffix("/openai")
    below = DEPLOYMENTS + (deployment or quote(model or "", safe=""))

    def path_of(path: str) -> str:
        return ("/openai" if path in WITHOUT_DEPLOYMENT else below) + path + query

    return root, path_of
