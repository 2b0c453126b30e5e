"""The settings of the device flow: `flow` and `device_authorization_endpoint`."""

from __future__ import annotations

from pathlib import Path

import pytest

from trayapp.config.loader import ConfigError, Paths, load
from trayapp.core.model import Spec

HEAD = '[workloads.mail]\nurl = "https://mcp.test/mcp"\nclient_id = "c"\n'
TOKEN = 'token_endpoint = "https://as.test/token"\n'
DEVICE = 'device_authorization_endpoint = "https://as.test/device"\n'


def spec(text: str) -> Spec:
    nowhere = Path("/nowhere")
    paths = Paths(nowhere / "config.toml", nowhere / "site.toml", nowhere, nowhere, nowhere, nowhere / "log")
    return load(paths, {}, text=text).workloads["mail"]


def test_the_flow_of_a_workload() -> None:
    """Browser by default, or device."""

    assert "browser" == spec(HEAD).flow
    assert "device" == spec(HEAD + 'flow = "device"\n').flow


@pytest.mark.parametrize("value", ['"phone"', "7", "true", '"Device"'])
def test_a_flow_that_does_not_exist(value: str) -> None:
    """The mistake names file, line, key and what would be right."""

    with pytest.raises(ConfigError) as caught:
        spec(f"{HEAD}flow = {value}\n")
    assert 'config.toml:4: workloads.mail.flow: must be "browser" or "device"' in str(caught.value)


def test_the_device_endpoint_stands_for_the_authorization_endpoint() -> None:
    """With it a token endpoint is enough; without it, it is not."""

    assert "https://as.test/device" == spec(HEAD + TOKEN + DEVICE + 'flow = "device"\n').device_authorization_endpoint
    with pytest.raises(ConfigError, match="authorization_endpoint is missing"):
        spec(HEAD + TOKEN)
    with pytest.raises(ConfigError, match="must start with https://"):
        spec(HEAD + TOKEN + DEVICE.replace("https", "http"))
