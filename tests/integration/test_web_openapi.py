"""web/openapi.json is what the browser's port answers: each of its paths is asked, and each answer fits its schema."""
import json
import os
import re

import pytest

from conftest import PASSWORDS, TOP, policy_with_realms
from lab.gateway import SaslUsers
from lab.web import Browser
from screens import GUEST_UUID, with_consoles

with open(os.path.join(TOP, "web", "openapi.json"), encoding="utf-8") as file:
    DOCUMENT = json.load(file)
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}


@pytest.fixture(scope="module")
def gateway(make_gateway, libvirtd, scratch):
    users = SaslUsers(scratch, name="sasl-web-openapi", passwords=PASSWORDS, mechanisms="plain")
    return make_gateway("web-openapi", policy=with_consoles(policy_with_realms()), sasl=users, listen_web=True, web_port="0",
                        allowed_uris=[libvirtd.qemu_uri])


def require(value, schema, where):
    """The part of JSON Schema that the document uses; an unknown word in it is an error too."""
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert not set(schema) - {"type", "required", "properties", "additionalProperties", "items", "enum"}, where
    names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    assert any(type(value) is TYPES[name] for name in names), f"{where}: {value!r} is no {names}"
    assert "enum" not in schema or value in schema["enum"], f"{where}: {value!r}"
    if isinstance(value, dict):
        missing = set(schema.get("required", [])) - set(value)
        assert not missing, f"{where}: without {missing}"
        more = schema.get("additionalProperties", True)
        for name, inner in value.items():
            known = schema.get("properties", {}).get(name)
            assert known is not None or more is not False, f"{where}: {name} is not in the document"
            if known is not None or isinstance(more, dict):
                require(inner, known or more, f"{where}.{name}")
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            require(inner, schema["items"], f"{where}[{i}]")


def fits(method, path, answer):
    responses = DOCUMENT["paths"][path][method.lower()]["responses"]
    content = responses["200" if answer.status == 200 else "default"]["content"]
    kind = answer.headers["content-type"].split(";")[0]
    assert kind in content, (method, path, answer)
    if "schema" in content[kind] and kind == "application/json":
        require(answer.json, content[kind]["schema"], f"{method} {path}")
    return answer


DRAFT = {"version": 1, "bindings": [{"id": "new", "who": ["sasl:zoe"], "role": "operator", "on": ["domain:web-*"]}]}
BODIES = {"/guests/{uuid}/console": {"mode": "view"}, "/policy/can": {"permission": "domain:start", "object": "domain:web-1", "explain": True},
          "/policy/who-can": {"permission": "domain:start", "object": "domain:web-1"},
          "/login": {"user": "nobody-here", "password": "x"}, **{f"/policy/{verb}": {"draft": json.dumps(DRAFT)} for verb in ("check", "diff", "replay")}}
OPERATIONS = [(method.upper(), path) for path, operations in DOCUMENT["paths"].items() for method in operations]


@pytest.mark.parametrize("method, path", [one for one in OPERATIONS if one[1] not in ("/events", "/logout")], ids=lambda text: text)
@pytest.mark.parametrize("name", ["admin", "alice", None])
def test_every_answer_fits(gateway, serial, method, path, name):
    """Of one who may all, of one who may some, of nobody."""
    browser = Browser(gateway) if name is None else Browser(gateway).login(name, PASSWORDS[name])
    real = path.format(uuid=GUEST_UUID, action="resume", id="1") + ("?format=jsonl" if path == "/audit/export" else "")
    answer = fits(method, path, browser.ask(method, real, body=BODIES.get(path, {}) if method == "POST" else None))
    if path == "/login" or name is None:
        assert answer.status == 401
    elif name == "admin" and "{id}" not in path and "{action}" not in path:
        assert answer.status == 200, answer


@pytest.mark.parametrize("method, path", [one for one in OPERATIONS if one[0] != "GET"], ids=lambda text: text)
def test_I67_every_change_comes_from_ones_own_page(gateway, method, path):
    admin = Browser(gateway).login("admin", PASSWORDS["admin"])
    real = path.format(uuid=GUEST_UUID, action="destroy", id=admin.me["session"])
    wrong = [{"Origin": None}, {"Origin": "https://evil.example"}, {"Origin": admin.origin.replace("https", "http")}]
    if path != "/login":
        wrong += [{"X-Auth-Token": None}, {"X-Auth-Token": ""}, {"X-Auth-Token": "A" * 43}, {"X-Auth-Token": admin.token[:-1]}]
    for headers in wrong:
        assert admin.ask(method, real, body=BODIES.get(path, {}), headers=headers).status in (403, 400), headers
    assert admin.get("/me").status == 200


def test_log_in_and_out_fit(gateway):
    browser = Browser(gateway)
    fits("POST", "/login", browser.try_login("alice", PASSWORDS["alice"]))
    fits("POST", "/logout", browser.post("/logout"))
    fits("POST", "/logout", browser.post("/logout"))


def test_events_are_guests(gateway, serial):
    events = Browser(gateway).login("alice", PASSWORDS["alice"]).events()
    name, guest = next(events)
    require({"guests": [guest]}, {"$ref": "#/components/schemas/Guests"}, "events")
    assert name == "guest" and guest["name"]
    events.close()


def test_every_route_is_in_the_document_and_the_reverse():
    with open(os.path.join(TOP, "web", "routes.c"), encoding="utf-8") as code:
        rows = re.findall(r'\{ WEB_(\w+), "/api/v1([^"]*)"', code.read())
    assert len(rows) > 10
    assert sorted(rows) == sorted((method, re.sub(r"\{\w+\}", "*", path)) for method, path in OPERATIONS)
