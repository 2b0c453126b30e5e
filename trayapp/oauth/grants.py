"""What a sign-in sends to the server's endpoints, put together from its plan: values, no I/O."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

from trayapp.core.model import Secret, Spec
from trayapp.core.quirks import extra_authorization_parameters, scope_parameter
from trayapp.oauth.flow import Flow
from trayapp.oauth.metadata import Endpoints
from trayapp.oauth.registration import RegisteredClient
from trayapp.oauth.tokens import CodeGrant, DeviceGrant, PushGrant


def code_grant(
    spec: Spec, client: RegisteredClient, flow: Flow, code: Secret, proof_key: Secret | None = None
) -> CodeGrant:
    """The code of a redirect, to be redeemed (RFC 6749 section 4.1.3)."""
    return CodeGrant(
        token_endpoint=flow.endpoints.token,
        client_id=spec.client_id,
        code=code,
        verifier=flow.verifier,
        redirect_uri=flow.redirect_uri,
        resource=spec.resource,
        client_secret=client.secret,
        registration=client.registration(),
        proof_key=proof_key,
        nearest_allowed=flow.endpoints.nearest_allowed,
    )


def device_grant(
    spec: Spec, client: RegisteredClient, endpoints: Endpoints, proof_key: Secret | None = None
) -> DeviceGrant:
    """A device authorization (RFC 8628 section 3.1)."""
    return DeviceGrant(
        endpoint=endpoints.device,
        token_endpoint=endpoints.token,
        client_id=spec.client_id,
        scope=scope_parameter(endpoints.token, spec.scopes),
        resource=spec.resource,
        audience=extra_authorization_parameters(endpoints.token, spec.resource).get("audience", ""),
        client_secret=client.secret,
        registration=client.registration(),
        proof_key=proof_key,
        nearest_allowed=endpoints.nearest_allowed,
    )


def push_grant(client: RegisteredClient, flow: Flow) -> PushGrant:
    """The authorization request of a flow that has just begun (RFC 9126 section 2.1). What the endpoint's own address
    has as a query isn't part of it."""
    endpoints = flow.endpoints
    own = parse_qsl(urlsplit(endpoints.authorization).query, keep_blank_values=True)
    parameters = parse_qsl(urlsplit(flow.url).query, keep_blank_values=True)[len(own) :]
    return PushGrant(
        endpoint=endpoints.pushed,
        token_endpoint=endpoints.token,
        client_id=client.id,
        parameters=urlencode([(name, value) for name, value in parameters if name != "client_id"]),
        client_secret=client.secret,
        registration=client.registration(),
        nearest_allowed=endpoints.nearest_allowed,
    )
