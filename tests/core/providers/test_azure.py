"""Where Azure's deployments are, from what people write of them."""

import pytest

from keeptrusts.core.providers.azure import deployment_address

HOST = "https://n.openai.azure.com"
VERSION = "?api-version=2024-10-21"


@pytest.mark.parametrize(
    ("base_url", "route", "address"),
    [
        (HOST, "/chat/completions", f"{HOST}/openai/deployments/gpt-4o/chat/completions{VERSION}"),
        (HOST + "/", "/embeddings", f"{HOST}/openai/deployments/gpt-4o/embeddings{VERSION}"),
        (HOST + "/openai", "/responses", f"{HOST}/openai/responses{VERSION}"),
        (HOST + "/openai/deployments/mine", "/images/edits", f"{HOST}/openai/deployments/mine/images/edits{VERSION}"),
        (HOST + "/openai/deployments/mine/", "/models", f"{HOST}/openai/models{VERSION}"),
        (HOST + "/openai/v1", "/chat/completions", f"{HOST}/openai/v1/chat/completions{VERSION}"),
        (
            HOST + "/behind/a/proxy",
            "/completions",
            f"{HOST}/behind/a/proxy/openai/deployments/gpt-4o/completions{VERSION}",
        ),
    ],
)
def test_every_address(base_url: str, route: str, address: str) -> None:
    base, path_of = deployment_address(base_url, "gpt-4o", "2024-10-21")
    assert base + path_of(route) == address
