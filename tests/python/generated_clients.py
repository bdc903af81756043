"""Makes clients of openapi.json by other people's programs, and does with each what a vendor and a customer do.

    cargo build && .venv/bin/python tests/python/generated_clients.py [typescript] [python-client] [generator]

Each lists, uploads and downloads at a `fame dev` of its own, and looks up a customer's environments and updates; what it
downloads must be what it uploaded. Without a name: openapi-typescript with openapi-fetch, checked by tsc, and
openapi-python-client. `generator`, which is openapi-generator's python, runs in Java, and is asked for by name:
docs/GENERATED-CLIENTS.md says what it needs. Before that, $metadata is held against the schema of OASIS.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import lxml.etree
import requests

ROOT = pathlib.Path(__file__).parents[2]
FAME = os.environ.get("FAME", ROOT / "target/debug/fame")
TOOLS = ROOT / ".tools/openapi"
OURS = ROOT / "tests/openapi"


class Service:
    """`fame dev`, and who there is to call it."""

    def __enter__(self):
        arguments = [FAME, "dev", "--json", "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        self.ready = json.loads(self.process.stdout.readline() or "null") or sys.exit("fame dev did not start")
        self.url = self.ready["baseUrl"]
        self.document = requests.get(self.url + "/openapi.json", timeout=30).json()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)

    def token_of(self, name):
        who = next(who for who in self.ready["clients"] if who["name"] == name)
        asked = {"grant_type": "client_credentials", "scope": self.ready["scope"]}
        asked |= {"client_id": who["clientId"], "client_secret": who["clientSecret"]}
        answer = requests.post(who["tokenUrl"], data=asked, timeout=30)
        answer.raise_for_status()
        return answer.json()["access_token"]

    def task(self):
        """What a program is told on its command line."""
        upload = self.document["paths"]["/v1.0/apps/{appId}/countries/{countryCode}/versions"]["post"]
        parameters = {of_it["name"]: of_it.get("example") for of_it in upload["parameters"]}
        return {
            "url": self.url,
            "owner": self.token_of("owner"),
            "customer": self.token_of("customer-admin"),
            "appId": parameters["appId"],
            "countryCode": parameters["countryCode"],
            "packageContents": upload["requestBody"]["content"]["application/json"]["example"]["packageContents"],
        }


def run(*arguments, into=None, **options):
    """Runs a program, which has to succeed, and tells what it wrote."""
    arguments = [str(argument) for argument in arguments]
    done = subprocess.run(arguments, stdout=subprocess.PIPE, text=True, cwd=into, **options)
    if done.returncode != 0:
        print(done.stdout, file=sys.stderr)
        sys.exit(f"{' '.join(arguments[:2])} failed")
    return done.stdout


def npm(name):
    """A program of the npm packages that ./test has brought."""
    program = TOOLS / "node_modules/.bin" / name
    return program if program.exists() else sys.exit(f"missing: {program}, which ./test brings")


def typescript(document, folder, task):
    run(npm("openapi-typescript"), document, "--output", folder / "schema.d.ts")
    shutil.copy(OURS / "client.ts", folder)
    (folder / "package.json").write_text('{ "type": "module" }')
    checks = ["--strict", "--noEmit", "--target", "esnext", "--module", "nodenext", "--allowImportingTsExtensions"]
    run(npm("tsc"), *checks, "--noUncheckedIndexedAccess", "--types", "node", "client.ts", into=folder)
    return run("node", "client.ts", task, into=folder)


def python_client(document, folder, task):
    config = folder / "config.yaml"
    config.write_text("package_name_override: made\npost_hooks: []\n")
    maker = pathlib.Path(sys.executable).with_name("openapi-python-client")
    made = ["--path", document, "--config", config, "--meta", "none", "--output-path", folder / "made"]
    run(maker, "generate", *made, "--overwrite", stderr=subprocess.STDOUT)
    return run_python("client_of_python_client.py", folder, task)


def generator(document, folder, task):
    maker = pathlib.Path(sys.executable).with_name("openapi-generator-cli")
    if not maker.exists() or not shutil.which("java"):
        sys.exit("missing: Java, or openapi-generator-cli in .venv; see docs/GENERATED-CLIENTS.md")
    run(maker, "generate", "-g", "python", "-i", document, "-o", folder, "--package-name", "made", stderr=subprocess.STDOUT)
    return run_python("client_of_generator.py", folder, task)


def run_python(program, folder, task):
    return run(sys.executable, OURS / program, task, env=os.environ | {"PYTHONPATH": str(folder)})


MAKERS = {"typescript": typescript, "python-client": python_client, "generator": generator}


def use(name):
    """Makes a client, and has it do its task."""
    with Service() as service:
        # Where node finds the packages that are installed beside it.
        folder = TOOLS / "made" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        document = folder / "openapi.json"
        document.write_text(json.dumps(service.document))
        task = service.task()
        done = json.loads(MAKERS[name](document, folder, json.dumps(task)))
    wrong = [
        what
        for what, is_right in {
            "the package differs": done["packageContents"] == task["packageContents"],
            "no app is listed": done["apps"] > 0,
            "it is no preview": done["availability"] == "Preview",
            "the customer has no environment": len(done["environments"]) > 0,
            "nothing can be updated": len(done["updates"]) > 0,
        }.items()
        if not is_right
    ]
    if wrong:
        sys.exit(f"{name}: {', '.join(wrong)}: {done}")
    print(f"{name}: uploaded and downloaded {done['version']}, saw {done['apps']} apps, {done['environments']}")


def check_metadata():
    """Holds both descriptions of OData's types against its schema."""
    schema = lxml.etree.XMLSchema(lxml.etree.parse(TOOLS / "node_modules/odata-csdl/schemas/edmx.xsd"))
    with Service() as service:
        for caller, path in (("owner", "/v1.0/$metadata"), ("operator", "/operator/v1/$metadata")):
            headers = {"Authorization": f"Bearer {service.token_of(caller)}"}
            answer = requests.get(service.url + path, headers=headers, timeout=30)
            answer.raise_for_status()
            schema.assertValid(lxml.etree.fromstring(answer.content))
            print(f"{path} is as the schema of OASIS has it")


def main():
    names = sys.argv[1:] or ["typescript", "python-client"]
    if unknown := set(names) - set(MAKERS):
        sys.exit(f"unknown: {', '.join(unknown)}; known: {', '.join(MAKERS)}")
    check_metadata()
    for name in names:
        use(name)


if __name__ == "__main__":
    main()
