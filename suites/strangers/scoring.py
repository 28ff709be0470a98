"""Scoring, a service that knows nothing of the harness and shares no code with it:
FastAPI as its documentation has it, so that a body is validated before the caller is
known; uvicorn's own log in plain text; counters that appear when they first count.

    AUTH_MODE      oidc or mtls
    OIDC_ISSUER, OIDC_AUDIENCE, SSL_CERT_FILE    of mode oidc
    PROMETHEUS_MULTIPROC_DIR    where several processes keep what they count

What is secret is rendered to /vault/secrets/scoring.json by Vault Agent, as one object.
"""

import base64
import json
import os
import pathlib
import sys

import jwt
import prometheus_client
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import multiprocess
from pydantic import BaseModel

SECRETS = pathlib.Path("/vault/secrets/scoring.json")
MODE = os.environ["AUTH_MODE"]

refused = prometheus_client.Counter("aegis_auth_failures", "Calls that were refused.", ["reason"])
scored = prometheus_client.Counter("scoring_scores", "Scores that were computed.")
app = FastAPI(title="scoring")
bearer = HTTPBearer(auto_error=False)


def secret(name):
    """A runtime secret, as it is now."""
    return json.loads(SECRETS.read_text())[name]


def ensure_required(*names):
    missing = [name for name in names if not secret(name)]
    if missing:
        sys.exit("missing secrets: " + ", ".join(missing))


if MODE == "oidc":
    ensure_required("oidc_jwks_uri", "model_signing_pubkey")
    jwks = jwt.PyJWKClient(secret("oidc_jwks_uri"))
else:
    ensure_required("oidc_jwks_uri", "model_signing_pubkey", "clients/allowed")


def refuse(status, reason, challenge):
    refused.labels(reason).inc()
    return HTTPException(status, reason.replace("_", " "), headers={"WWW-Authenticate": challenge} if challenge else None)


def canonical(token):
    """Wants base64url as RFC 7515 has it: PyJWT reads it in any spelling."""
    for part in token.split("."):
        if base64.urlsafe_b64encode(base64.urlsafe_b64decode(part + "==")).decode().rstrip("=") != part:
            raise ValueError("another spelling")


def by_token(credentials):
    """Who the bearer token speaks of."""
    if credentials is None:
        raise refuse(401, "no_token", 'Bearer realm="scoring"')
    try:
        canonical(credentials.credentials)
        key = jwks.get_signing_key_from_jwt(credentials.credentials).key
        claims = jwt.decode(
            credentials.credentials, key, algorithms=["RS256", "ES256"],
            audience=os.environ["OIDC_AUDIENCE"], issuer=os.environ["OIDC_ISSUER"],
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise refuse(401, "bad_token", 'Bearer realm="scoring", error="invalid_token"') from None
    return claims["sub"]


def by_certificate(name):
    """Who the ingress has verified, where he is on the list."""
    if not name:
        raise refuse(401, "no_certificate", 'Certificate realm="scoring"')
    if name not in json.loads(secret("clients/allowed")):
        raise refuse(403, "not_on_the_list", None)
    return name


def caller(request: Request, credentials: HTTPAuthorizationCredentials = Depends(bearer)):
    if MODE == "oidc":
        return by_token(credentials)
    return by_certificate(request.headers.get("x-client-cn"))


class Application(BaseModel):
    amounts: list


class Client(BaseModel):
    client: str


class Review(BaseModel):
    subject: str


@app.post("/v1/score")
def score(application: Application, who: str = Depends(caller)):
    scored.inc()
    return {"score": sum(application.amounts) / max(len(application.amounts), 1)}


@app.post("/v1/clients")
def enrol(client: Client, who: str = Depends(caller)):
    return {"client": client.client, "by": who}


@app.post("/v1/reviews")
def review(review: Review, who: str = Depends(caller)):
    return {"subject": review.subject, "by": who}


@app.get("/healthz")
def healthz():
    return {"status": "ok"}


@app.get("/metrics")
def metrics():
    registry = prometheus_client.REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = prometheus_client.CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    return Response(prometheus_client.generate_latest(registry), headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST})

