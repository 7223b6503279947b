"""A loopback stand-in for a self-hosted Neptune: the REST calls that listing, curves and downloading make.

The `neptune` package asks the server for its interface (swagger.json) and calls what it finds there; so does this one
describe itself. What it says is what the client's own code reads out of the answers.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt

from tests.loopback import serving

HEADER = "X-Neptune-Api-Token"
REFRESH = "/protocol/openid-connect/token"
PROJECT_ID = "p"
Answer = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """An operation of the interface: its path, its parameters and where each stands, and an example of its answer."""

    path: str
    parameters: dict[str, str]
    example: Answer = field(default_factory=dict)
    method: str = "get"


CONFIG = {"apiUrl": "", "applicationUrl": "", "pyLibVersions": {"minCompatibleVersion": "1.0.0"}}
ENTRY = {"name": "sys/creation_time", "type": "datetime"}
POINT = {"timestampMillis": 0, "step": 0.0, "value": 0.0}
RUN = {"id": "", "type": "run", "shortId": "", "organizationName": "", "projectName": "", "trashed": False}
PROJECT = {"id": "", "name": "", "organizationName": "", "projectKey": "", "version": 2}
ONE = {"experimentId": "query", "attribute": "query"}

CALLS = {
    "backend": {
        "getClientConfig": Call("/clients/python/config", {HEADER: "header", "alpha": "query"}, CONFIG),
        "exchangeApiToken": Call(
            "/authorization/oauth-token", {HEADER: "header"}, {"accessToken": "", "refreshToken": ""}
        ),
        "getProject": Call("/projects/get", {"projectIdentifier": "query"}, PROJECT),
    },
    "leaderboard": {
        "searchLeaderboardAttributes": Call(
            "/attributes/search",
            {"projectIdentifier": "query", "search": "query", "type": "query", "params": "body"},
            {"entries": [ENTRY]},
            "post",
        ),
        "searchLeaderboardEntries": Call(
            "/entries/search", {"projectIdentifier": "query", "type": "query", "params": "body"}, {}, "post"
        ),
        "getExperiment": Call("/experiment", {"experimentId": "query"}, RUN),
        "getExperimentAttributes": Call("/attributes", {"experimentId": "query"}, {"attributes": [ENTRY]}),
        "getFloatSeriesValues": Call(
            "/series", {**ONE, "limit": "query", "offset": "query"}, {"totalItemCount": 0, "values": [POINT]}
        ),
        "downloadAttribute": Call("/attributes/download", ONE),
    },
}


def swagger(room: str) -> Answer:
    """Describe a room's calls; the shapes of the answers are those of the examples."""
    definitions: Answer = {}

    def shape(value: Any, name: str) -> Answer:
        if isinstance(value, dict):
            inner = {key: shape(one, f"{name}{key.title()}") for key, one in value.items()}
            definitions[name] = {"type": "object", "properties": inner}
            return {"$ref": f"#/definitions/{name}"}
        if isinstance(value, list):
            return {"type": "array", "items": shape(value[0], f"{name}Item")}
        kinds: dict[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}
        return {"type": kinds[type(value)]}

    paths: Answer = {}
    for name, call in CALLS[room].items():
        parameters = [_parameter(key, where) for key, where in call.parameters.items()]
        answer = {"description": "", "schema": shape(call.example, f"{name}Answer")}
        operation = {"operationId": name, "tags": ["api"], "parameters": parameters, "responses": {"200": answer}}
        paths[f"/api/{room}/v1{call.path}"] = {call.method: operation}
    return {
        "swagger": "2.0",
        "info": {"title": room, "version": "1"},
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "paths": paths,
        "definitions": definitions,
    }


def _parameter(name: str, where: str) -> Answer:
    found: Answer = {"name": name, "in": where}
    if where == "body":
        return found | {"schema": {"type": "object"}}
    if name == "type":
        return found | {"type": "array", "items": {"type": "string"}, "collectionFormat": "multi"}
    return found | {"type": "integer" if name in ("limit", "offset") else "string"}


@dataclass
class Project:
    """What the server holds: attributes of runs as (type, properties), and files by run and attribute."""

    runs: dict[str, dict[str, tuple[str, Answer]]]
    files: dict[tuple[str, str], bytes]
    series: dict[tuple[str, str], list[Answer]]
    refuse: bool = False
    address: str = ""

    def answer(self, name: str, query: dict[str, str], body: Answer) -> Answer | bytes | None:
        """Return what the call answers; None where there is no such thing."""
        if name == "getClientConfig":
            return {**CONFIG, "apiUrl": self.address, "applicationUrl": self.address}
        if name == "exchangeApiToken":
            return {"accessToken": self.access(), "refreshToken": self.access()}
        if name == "getProject":
            return {**PROJECT, "id": PROJECT_ID, "name": "signs", "organizationName": "team", "projectKey": "SIG"}
        if name == "searchLeaderboardAttributes":
            return {"entries": [ENTRY]}
        if name == "searchLeaderboardEntries":
            return self.entries(body)
        run = query["experimentId"].rpartition("/")[2]
        if run == PROJECT_ID and name == "getExperimentAttributes":
            return {"attributes": []}
        if run not in self.runs:
            return None
        if name == "getExperiment":
            return {**RUN, "id": run, "shortId": run, "organizationName": "team", "projectName": "signs"}
        if name == "getExperimentAttributes":
            return {"attributes": [{"name": path, "type": kind} for path, (kind, _) in self.runs[run].items()]}
        if name == "getFloatSeriesValues":
            points = self.series[run, query["attribute"]]
            start = int(query["offset"])
            return {"totalItemCount": len(points), "values": points[start : start + int(query["limit"])]}
        return self.files.get((run, query["attribute"]))

    def entries(self, body: Answer) -> Answer:
        """Return a page of the runs that the query names, or of all."""
        asked, page = body["query"]["query"], body["pagination"]
        found = [run for run in self.runs if "sys/id" not in asked or f'"{run}"' in asked]
        shown = found[page["offset"] : page["offset"] + page["limit"]]
        return {"matchingItemCount": len(found), "entries": [self.entry(run) for run in shown]}

    def entry(self, run: str) -> Answer:
        """Return a run as a row of the table."""
        attributes = [
            {"name": path, "type": kind, f"{kind}Properties": properties}
            for path, (kind, properties) in self.runs[run].items()
        ]
        return {"experimentId": run, "attributes": attributes}

    def access(self) -> str:
        """Return a token that says when it ends; nobody checks its signature."""
        claims = {"exp": int(time.time()) + 3600, "azp": "neptune-cli", "iss": self.address}
        return jwt.encode(claims, "a key of this test alone, long enough for HMAC", algorithm="HS256")

    def token(self) -> str:
        """Return what stands in NEPTUNE_API_TOKEN."""
        address = {"api_address": self.address, "api_url": self.address}
        return base64.b64encode(json.dumps(address).encode()).decode()


@contextmanager
def serve(project: Project) -> Iterator[Project]:
    """Answer for a project on this machine; its address is filled in."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == REFRESH:
                fresh = {"access_token": project.access(), "refresh_token": project.access(), "token_type": "Bearer"}
                return self.send(401, {"error": "invalid_grant"}) if project.refuse else self.send(200, fresh)
            room, _, below = parts.path.removeprefix("/api/").partition("/")
            if below == "swagger.json" and room in CALLS:
                return self.send(200, swagger(room))
            name = next((key for key, call in CALLS.get(room, {}).items() if f"v1{call.path}" == below), "")
            if not name:
                return self.send(404, {"title": "no such call"})
            if project.refuse and name != "getClientConfig":
                return self.send(401, {"title": "unauthorised"})
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            found = project.answer(name, query, json.loads(body or b"{}"))
            return self.send(200, found) if found is not None else self.send(404, {"title": "not found"})

        def do_POST(self) -> None:
            self.do_GET()

        def send(self, status: int, answer: Answer | bytes) -> None:
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            kind = "application/octet-stream" if isinstance(answer, bytes) else "application/json"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with serving(Handler) as project.address:
        yield project
