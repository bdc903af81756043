"""Calls every operation that openapi.json describes, as a program would that knows nothing but the description.

    cargo build && .venv/bin/python tests/python/openapi_walk.py

Starts `fame dev`, and has schemathesis make requests of the description: its examples, what lies at the edges of its
shapes and outside of them, and chains along its links. Fails when an answer is not as described, and when too few
operations have done what they are for.
"""

import atexit
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
import uuid

import requests
import schemathesis
from schemathesis.cli import schemathesis as command_line
from schemathesis.core.failures import ServerError
from schemathesis.openapi.checks import AllowHeaderMismatch, UnsupportedMethodResponse

HERE = pathlib.Path(__file__).parent
FAME = os.environ.get("FAME", HERE.parents[1] / "target/debug/fame")

# So many of ten operations must have been answered with success.
ENOUGH = 9

# What is put under an id that no other app may have.
OF_ONE_APP = ("put_trusted_publisher", "put_app_freeze")
# Operations that the agent holds from the beginning, each in an environment of its own.
HELD = 12

AGENT = "walker"


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes in what webhooks are told."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        """Says nothing."""


def receiver():
    """The address of a receiver, here."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


class Service:
    """`fame dev`, what there is in it to be called, and those who call it."""

    def __init__(self):
        arguments = [FAME, "dev", "--json", "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        atexit.register(self.stop)
        self.ready = json.loads(self.process.stdout.readline() or "null") or sys.exit("fame dev did not start")
        self.url = self.ready["baseUrl"]
        self.document = requests.get(self.url + "/openapi.json", timeout=30).json()
        self.operations = {
            operation["operationId"]: (verb, path, operation)
            for path, item in self.document["paths"].items()
            for verb, operation in item.items()
        }
        self.tokens = {"/v1.0": self.token_of("owner"), "/operator/v1": self.token_of("operator")}
        self.tokens["/admin/v2.0"] = self.token_of("customer-admin")
        self.session = self.example("rotate_agent_token", "fame-agent-session")
        self.succeeded = set()
        self.sequence = 0
        self.waiting = None
        self.rollout = None
        self.receiver = receiver()
        self.tokens["/agent/v1"] = self.ask("POST", "/agent/v1/enrol", {"code": self.code(AGENT)})["token"]
        # A token is replaced no earlier.
        self.ask("POST", "/control/clock", {"advance": "PT1M"})
        self.restore("put_freeze")
        self.restore("put_agent")
        self.restore("put_customer")
        for webhook in ("webhook", "any_webhook"):
            self.restore(f"put_{webhook}")
            self.ask(*self.address(f"test_{webhook}"))
        self.held = self.work()

    def token_of(self, name):
        who = next(who for who in self.ready["clients"] if who["name"] == name)
        asked = {"grant_type": "client_credentials", "scope": self.ready["scope"]}
        asked |= {"client_id": who["clientId"], "client_secret": who["clientSecret"]}
        answer = requests.post(who["tokenUrl"], data=asked, timeout=30)
        answer.raise_for_status()
        return answer.json()["access_token"]

    def token_for(self, path):
        return next((token for root, token in self.tokens.items() if path.startswith(root)), None)

    def ask(self, verb, path, body=None):
        headers = {"fame-agent-session": self.session, "Authorization": f"Bearer {self.token_for(path)}"}
        answer = requests.request(verb, self.url + path, json=body, headers=headers, timeout=30)
        if not answer.ok:
            raise RuntimeError(f"{verb} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def example(self, operation, parameter):
        parameters = self.operations[operation][2]["parameters"]
        return next(of_it["example"] for of_it in parameters if of_it["name"] == parameter)

    def body(self, operation):
        return dict(self.operations[operation][2]["requestBody"]["content"]["application/json"]["example"])

    def address(self, operation):
        """The verb of an operation, and its address with the examples in it."""
        verb, path, described = self.operations[operation]
        for parameter in described["parameters"]:
            if parameter["in"] == "path":
                path = path.replace("{%s}" % parameter["name"], parameter["example"])
        return verb.upper(), path

    def restore(self, operation):
        """Makes something what the description says that it is."""
        body = self.body(operation)
        if "url" in body:
            body |= {"url": self.receiver}
        self.ask(*self.address(operation), body)

    def code(self, agent):
        """A code with which the agent, or another in its place, signs in once."""
        registration = {"scope": {"allTenants": True, "reason": "It walks through the description"}}
        self.ask("PUT", f"/operator/v1/agents/{agent}", registration)
        return self.ask("POST", f"/operator/v1/agents/{agent}/rotate", {})["enrolmentCode"]

    def hotfix(self, environment, **how):
        """A new hotfix for an environment of that name, which is the agent's."""
        schedule = self.body("schedule_hotfix")
        tenant, family = schedule["environmentAadTenantId"], schedule["environmentApplicationFamily"]
        address = f"/operator/v1/environments/{tenant}/{family}/{environment}"
        self.ask("PUT", address, self.body("put_environment"))
        self.ask("POST", f"{address}/rebind", {"agent": AGENT})
        app, country = self.example("schedule_hotfix", "appId"), self.example("schedule_hotfix", "countryCode")
        asked = schedule | {"environmentName": environment} | how
        return self.ask("POST", f"/v1.0/apps/{app}/countries/{country}/environmentHotfixes", asked)["id"]

    def customers_operation(self):
        """An operation that waits where a customer may ask for one. What was sent before may have left the app so that it
        can be neither updated nor installed: then one that is over."""
        listed = self.operations_of_the_app()
        there = [operation for operation in listed if operation["status"] in ("scheduled", "running")]
        if there:
            return there[0]["id"]
        for asked in ("update_app", "install_app"):
            try:
                return self.ask(*self.address(asked), self.body(asked))["id"]
            except RuntimeError as refused:
                if "EntityValidationFailed" not in str(refused) and "ResourceDoesNotExist" not in str(refused):
                    raise
        return listed[0]["id"]

    def operations_of_the_app(self):
        return self.ask("GET", self.address("list_app_operations")[1])["value"]

    def cancels_customers_operations(self):
        for operation in self.operations_of_the_app():
            if not operation["canBeCanceled"]:
                continue
            try:
                self.ask(*self.address("cancel_app_operation"), {"ScheduledOperationId": operation["id"]})
            except RuntimeError as refused:
                # It may have begun meanwhile.
                if "NotCancelable" not in str(refused):
                    raise

    def work(self):
        """Operations that the agent holds, each with its lease."""
        for number in range(HELD):
            self.hotfix(f"Held-{number}", runAfter=None, ignoreUpgradeWindow=True)
        claimed = self.ask("POST", "/agent/v1/claim", {"max": HELD})["operations"]
        return {operation["operationId"]: operation["leaseId"] for operation in claimed}

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


SERVICE = Service()


@schemathesis.auth(refresh_interval=None)
class Callers:
    """Each API has a caller of its own."""

    def get(self, case, _context):
        return SERVICE.token_for(case.operation.path)

    def set(self, case, token, _context):
        if token:
            case.headers["Authorization"] = f"Bearer {token}"


@schemathesis.hook
def before_call(_context, case, _kwargs):
    """Puts what there is in the place of what the description can only give an example of."""
    operation, path = case.operation.definition.raw["operationId"], case.path_parameters
    # A second process with the agent's token would be taken for a thief.
    if is_guid(case.headers.get("fame-agent-session")):
        case.headers["fame-agent-session"] = SERVICE.session
    # Those who ask are still needed.
    if case.method != "GET":
        clients = SERVICE.ready["clients"]
        callers = {AGENT, "simulator", *(who["principalId"] for who in clients), *(who["tenantId"] for who in clients)}
        for name, value in path.items():
            if value in callers:
                path[name] = SERVICE.example(operation, name)
    # Nothing is sent to anybody else.
    if isinstance(case.body, dict) and str(case.body.get("url")).startswith("http"):
        case.body["url"] = SERVICE.receiver
    if operation.startswith("replay_") and path.get("eventId") == SERVICE.example(operation, "eventId"):
        _, deliveries = SERVICE.address(operation.replace("replay_", "list_").replace("delivery", "deliveries"))
        for delivery in SERVICE.ask("GET", deliveries)["value"][:1]:
            path["eventId"] = delivery["eventId"]
    # As long as may be is too long here.
    if case.operation.path.endswith("/events") and str(case.query.get("follow", "true")).lower() == "true":
        case.query["follow"] = "false"
    if operation == "claim_operations" and isinstance(case.body, dict) and case.body.get("waitSeconds") in range(2, 61):
        case.body["waitSeconds"] = 1
    if operation == "enrol_agent" and same(case.body, operation, "code"):
        case.body["code"] = SERVICE.code("newcomer")
    if operation in ("put_inventory", "patch_inventory") and same(case.body, operation, "sequence"):
        SERVICE.sequence += 1
        case.body["sequence"] = SERVICE.sequence
    if operation in ("get_hotfix", "update_hotfix") and path.get("id") == SERVICE.example(operation, "id"):
        SERVICE.waiting = SERVICE.waiting or SERVICE.hotfix("Waits")
        path["id"] = SERVICE.waiting
    if "/rollouts/{id}" in case.operation.path and path.get("id") == SERVICE.example(operation, "id"):
        SERVICE.rollout = SERVICE.rollout or SERVICE.ask(*SERVICE.address("create_rollout"), SERVICE.body("create_rollout"))["id"]
        path["id"] = SERVICE.rollout
    is_customers = case.operation.path.startswith("/admin/")
    if is_customers and "id" in (path or {}) and path["id"] == SERVICE.example(operation, "id"):
        path["id"] = SERVICE.customers_operation()
    if operation in ("update_app", "uninstall_app"):
        SERVICE.cancels_customers_operations()
    if operation == "cancel_app_operation" and same(case.body, operation, "ScheduledOperationId"):
        case.body["ScheduledOperationId"] = SERVICE.customers_operation()
    if case.operation.path.startswith("/agent/v1/operations/") and path.get("id") == SERVICE.example(operation, "id"):
        if SERVICE.held:
            path["id"], lease = next(iter(SERVICE.held.items()))
            if same(case.body, operation, "leaseId"):
                case.body["leaseId"] = lease


def same(body, operation, name):
    """Whether a property of a body is what the description has it as."""
    return isinstance(body, dict) and body.get(name) == SERVICE.body(operation)[name]


def is_guid(text):
    try:
        return bool(uuid.UUID(text))
    except (ValueError, TypeError, AttributeError):
        return False


@schemathesis.hook
def after_call(_context, case, response):
    """Notes what succeeded, and undoes what would keep others from succeeding."""
    operation = case.operation.definition.raw["operationId"]
    if not 200 <= response.status_code < 300:
        return
    SERVICE.succeeded.add(operation)
    if operation == "claim_operations":
        SERVICE.held |= {held["operationId"]: held["leaseId"] for held in response.json()["operations"]}
    if operation == "finish_operation":
        SERVICE.held.pop(case.path_parameters["id"], None)
    if operation == "update_hotfix":
        SERVICE.waiting = None
    if operation == "abort_rollout":
        SERVICE.rollout = None
    # An id is one app's.
    is_others = operation in OF_ONE_APP and case.path_parameters["appId"] != SERVICE.example(operation, "appId")
    if is_others:
        SERVICE.ask("DELETE", case.operation.path.format(**case.path_parameters))
    if operation == "put_freeze" and case.path_parameters["subject"] != SERVICE.example(operation, "subject"):
        SERVICE.ask("DELETE", f"/operator/v1/freezes/{case.path_parameters['subject']}")
    subject = operation.partition("_")[2]
    if case.method in ("PUT", "PATCH", "DELETE") and f"put_{subject}" in SERVICE.operations and subject != "inventory":
        SERVICE.restore(f"put_{subject}")


@schemathesis.hook
def filter_failure(_context, failure, case, response):
    """Drops what is meant: what this service does not have of the Admin Center API, and of `$apply`, is answered, with 501."""
    is_unserved = isinstance(failure, ServerError) and response.status_code == 501
    if is_unserved and response.json()["error"].get("target") == "$apply":
        return False
    is_another_verb = isinstance(failure, (AllowHeaderMismatch, UnsupportedMethodResponse))
    is_customers = case.operation.path.startswith("/admin/v2.0/")
    return not (is_customers and (is_another_verb or is_unserved))


def main():
    arguments = ["--config-file", HERE / "schemathesis.toml", "run", SERVICE.url + "/openapi.json", *sys.argv[1:]]
    try:
        command_line.main([str(argument) for argument in arguments], standalone_mode=False)
        failed = False
    except SystemExit as ended:
        failed = ended.code != 0
    total = len(SERVICE.operations)
    missing = sorted(set(SERVICE.operations) - SERVICE.succeeded)
    print(f"{total - len(missing)} of {total} operations succeeded; not so: {', '.join(missing) or 'none'}")
    return failed or 10 * (total - len(missing)) < ENOUGH * total


if __name__ == "__main__":
    sys.exit(main())
