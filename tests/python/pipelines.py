"""What contrib/pipelines holds is tried: its scripts run as a build system runs them, against a release on this machine
that holds a program which writes down how it was called; and what cannot be run here is at least parsed.

PowerShell is run where there is one (`pwsh`), and said to be missing otherwise.

FAME=target/debug/fame .venv/bin/python tests/python/pipelines.py
"""

import functools
import hashlib
import http.server
import io
import json
import os
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
import threading
import unittest
from pathlib import Path

import tree_sitter_powershell
import yaml
from tree_sitter import Language, Parser

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "contrib" / "pipelines"
VENV = ROOT / ".venv" / "bin"
ZIZMOR = ROOT / "tests" / "pipelines" / "zizmor.yaml"
FAME = os.environ["FAME"]
VERSION = "1.2.0"
SYSTEM = {"x86_64": "x86_64-unknown-linux-musl", "aarch64": "aarch64-unknown-linux-musl"}[platform.machine()]
# Writes down how it was called, and ends as it was asked to.
PROGRAM = """#!/usr/bin/env python3
import json, os, sys
if sys.argv[1:] == ["exit-codes"]:
    print("Exit codes:\\n   0  done\\n  20  partial: a part was done and stands, the rest was not")
    sys.exit(0)
names = ("FAME_URL", "FAME_TENANT_ID", "FAME_CLIENT_ID", "FAME_CLIENT_SECRET", "SYSTEM_ACCESSTOKEN")
with open(os.environ["CALLS"], "a") as calls:
    called = {"arguments": sys.argv[1:], "variables": {name: os.environ[name] for name in names if name in os.environ}}
    calls.write(json.dumps(called) + "\\n")
print(os.environ.get("PRINTS", "[]"))
sys.exit(int(os.environ.get("ENDS", "0")))
"""


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Release:
    """A release of `fame` that can be fetched."""

    def __init__(self, folder):
        self.folder = folder
        files = folder / f"v{VERSION}"
        files.mkdir(parents=True)
        name = f"fame-{VERSION}-{SYSTEM}"
        self.archive = files / f"{name}.tar.gz"
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            entry = tarfile.TarInfo(f"{name}/fame")
            entry.size, entry.mode = len(PROGRAM.encode()), 0o755
            archive.addfile(entry, io.BytesIO(PROGRAM.encode()))
        self.archive.write_bytes(packed.getvalue())
        sums = f"{sha256(packed.getvalue())}  {self.archive.name}\n{'0' * 64}  something-else.zip\n".encode()
        (files / "SHA256SUMS").write_bytes(sums)
        self.sha256 = sha256(sums)
        handler = functools.partial(Quiet, directory=folder)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def end(self):
        self.server.shutdown()
        self.server.server_close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Tried(unittest.TestCase):
    """A folder to work in, a release to fetch, and what the program was called with."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.work, self.temp = self.folder / "work", self.folder / "temp"
        self.work.mkdir()
        self.temp.mkdir()
        self.calls = self.folder / "calls"
        self.release = Release(self.folder / "releases")
        self.addCleanup(self.release.end)

    def packages(self, *names):
        for name in names:
            file = self.work / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"")

    def runs(self, command, more):
        """Runs a command as on a build machine that has no settings of ours."""
        variables = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        variables |= {"CALLS": str(self.calls), "TMPDIR": str(self.temp)} | more
        return subprocess.run(
            command, cwd=self.work, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
        )

    def called(self):
        return [json.loads(line) for line in self.calls.read_text().splitlines()] if self.calls.exists() else []


def filled(value, kind, values):
    """A value of a step with its expressions filled in, of which there is one kind only."""
    return re.sub(r"\$\{\{ %s\.([A-Za-z0-9-]+) \}\}" % kind, lambda found: values[found[1]], value)


class Action(Tried):
    action = yaml.safe_load((HERE / "github-action/action.yml").read_text())

    def runs_with(self, ends="0", **inputs):
        given = {"version": VERSION, "sha256": self.release.sha256, "releases": self.release.url}
        given |= {name.replace("_", "-"): value for name, value in inputs.items()}
        known = self.action["inputs"]
        self.assertLessEqual(given.keys(), known.keys())
        values = {name: given.get(name, known[name].get("default")) for name in known}
        self.outputs = self.folder / "outputs"
        runner = {
            "GITHUB_ACTION_PATH": str(HERE / "github-action"),
            "GITHUB_OUTPUT": str(self.outputs),
            "RUNNER_TEMP": str(self.temp),
            "ENDS": ends,
        }
        for step in self.action["runs"]["steps"]:
            variables = {name: filled(value, "inputs", values) for name, value in step["env"].items()}
            ended = self.runs(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]], runner | variables)
            if ended.returncode:
                break
        return ended

    def test_everything_is_handed_on_and_nothing_is_read_by_a_shell(self):
        self.packages("out/sales pack.app", "out/$(touch mine).app", "-q.app", "other.txt")
        ended = self.runs_with(
            packages="out/*.app\r\n\n*.app\n",
            url="https://fame.contoso.com",
            countries="US,DE",
            file="my fame.toml",
            availability="Available",
            hotfix_where="type eq 'Sandbox' and name ne '$(touch mine)'",
            run_after="2026-11-30T18:00:00Z",
            ignore_window="true",
            wait="true",
            timeout="2h",
            add_countries="true",
            plan="false",
        )
        self.assertEqual(ended.returncode, 0, ended.stderr)
        junit = str(self.temp / "fame-release.xml")
        [called] = self.called()
        expected = ["release", "--junit", junit, "--countries", "US,DE", "--file", "my fame.toml"]
        expected += ["--availability", "Available", "--hotfix"]
        expected += ["--where", "type eq 'Sandbox' and name ne '$(touch mine)'", "--run-after", "2026-11-30T18:00:00Z"]
        expected += ["--ignore-window", "--wait", "--timeout", "2h", "--add-countries", "--"]
        packages = ["out/$(touch mine).app", "out/sales pack.app", "-q.app"]
        self.assertEqual(called["arguments"][: len(expected)], expected)
        self.assertCountEqual(called["arguments"][len(expected) :], packages)
        self.assertEqual(called["variables"], {"FAME_URL": "https://fame.contoso.com"})
        self.assertEqual(self.outputs.read_text(), f"junit={junit}\n")
        self.assertFalse((self.work / "mine").exists())

    def test_what_is_left_out_is_left_to_fame(self):
        self.assertEqual(self.runs_with().returncode, 0)
        [called] = self.called()
        self.assertEqual(called["arguments"], ["release", "--junit", str(self.temp / "fame-release.xml"), "--"])
        self.assertEqual(called["variables"], {})

    def test_the_exit_code_is_that_of_fame(self):
        self.assertEqual(self.runs_with(ends="20").returncode, 20)

    def test_wrong_inputs_are_told_before_anything_is_released(self):
        for inputs, fact in [
            ({"packages": "nothing/*.app"}, "No package is called 'nothing/*.app'"),
            ({"wait": "yes"}, "wait is true or false, not 'yes'"),
            ({"version": "../1"}, "'../1' is no version"),
            ({"sha256": "abc"}, "'abc' is no SHA-256"),
            ({"version": "9.9.9"}, "404"),
        ]:
            ended = self.runs_with(**inputs)
            self.assertNotEqual(ended.returncode, 0, inputs)
            self.assertIn(fact, ended.stderr)
        self.assertEqual(self.called(), [])

    def test_a_program_that_is_not_the_pinned_one_is_neither_run_nor_kept(self):
        for inputs in [{"sha256": "1" * 64}, {}]:
            if not inputs:
                self.release.archive.write_bytes(self.release.archive.read_bytes() + b"\0")
            ended = self.runs_with(**inputs)
            self.assertEqual(ended.returncode, 1)
            self.assertIn("has the SHA-256", ended.stderr)
            left = [file.name for file in (self.temp / "fame").iterdir()]
            self.assertLessEqual(set(left), {"SHA256SUMS"})
        self.assertEqual(self.called(), [])

    def test_the_page_shows_what_there_is(self):
        page = (HERE / "github-action/README.md").read_text()
        [example] = blocks(page, "yaml")
        [step] = [step for step in example["jobs"]["release"]["steps"] if "fame-release" in step.get("uses", "")]
        self.assertLessEqual(step["with"].keys(), self.action["inputs"].keys())
        for name in self.action["inputs"]:
            self.assertIn(f"`{name}`", page)


class Template(Tried):
    template = yaml.safe_load((HERE / "azure-devops/fame-release.yml").read_text())

    def test_without_and_with_a_connection_the_same_is_run(self):
        fetch, itself, connected, results = self.template["steps"]
        [plain] = itself["${{ if eq(parameters.azureSubscription, '') }}"]
        [cli] = connected["${{ else }}"]
        self.assertEqual(plain["bash"], cli["inputs"]["inlineScript"])
        self.assertEqual(plain["env"], cli["env"])
        self.assertEqual((cli["task"], results["task"]), ("AzureCLI@2", "PublishTestResults@2"))
        self.assertEqual(results["condition"], "succeededOrFailed()")
        for script in (fetch["bash"], plain["bash"]):
            self.assertNotIn("${{ parameters.packages", script)

    def runs_with(self, ends="0", **given):
        defaults = {known["name"]: known.get("default") for known in self.template["parameters"]}
        given = {"version": VERSION, "sha256": self.release.sha256, "releases": self.release.url} | given
        self.assertLessEqual(given.keys(), defaults.keys())
        values = defaults | given
        fetch, itself, *_ = self.template["steps"]
        [release] = itself["${{ if eq(parameters.azureSubscription, '') }}"]
        for step in (fetch, release):
            variables = {name: filled(value, "parameters", values) for name, value in step["env"].items()}
            variables |= {"AGENT_TEMPDIRECTORY": str(self.temp), "ENDS": ends}
            ended = self.runs(["bash", "--noprofile", "--norc", "-c", filled(step["bash"], "parameters", values)], variables)
            if ended.returncode:
                break
        return ended

    def test_everything_is_handed_on_and_nothing_is_read_by_a_shell(self):
        self.packages("out/sales pack.app", "out/library.app")
        ended = self.runs_with(
            packages="out/*.app\n",
            url="https://fame.contoso.com",
            countries="US,DE",
            config="my fame.toml",
            extraArgs="--hotfix\n--where=type eq 'Sandbox' and name ne '$(touch mine)'\n",
        )
        self.assertEqual(ended.returncode, 0, ended.stderr)
        [called] = self.called()
        junit = str(self.temp / "fame-release.xml")
        expected = ["release", "--junit", junit, "--countries", "US,DE", "--file", "my fame.toml", "--hotfix"]
        expected += ["--where=type eq 'Sandbox' and name ne '$(touch mine)'", "--"]
        self.assertEqual(called["arguments"][: len(expected)], expected)
        self.assertCountEqual(called["arguments"][len(expected) :], ["out/library.app", "out/sales pack.app"])
        self.assertEqual(called["variables"]["FAME_URL"], "https://fame.contoso.com")
        self.assertEqual(called["variables"]["SYSTEM_ACCESSTOKEN"], "$(System.AccessToken)")
        self.assertFalse((self.work / "mine").exists())

    def test_it_ends_as_fame_does_and_leaves_the_service_to_it(self):
        self.assertEqual(self.runs_with(ends="20").returncode, 20)
        [called] = self.called()
        self.assertNotIn("FAME_URL", called["variables"])

    def test_a_program_that_is_not_the_pinned_one_is_not_run(self):
        self.assertIn("has the SHA-256", self.runs_with(sha256="1" * 64).stderr)
        self.release.archive.write_bytes(self.release.archive.read_bytes() + b"\0")
        self.assertIn("has the SHA-256", self.runs_with().stderr)
        self.assertEqual(self.called(), [])

    def test_the_page_shows_what_there_is(self):
        page = (HERE / "azure-devops/README.md").read_text()
        [example] = blocks(page, "yaml")
        [step] = [step for step in example["steps"] if "template" in step]
        known = {parameter["name"] for parameter in self.template["parameters"]} - {"script"}
        self.assertLessEqual(step["parameters"].keys(), known)
        for name in known:
            self.assertIn(f"`{name}`", page)


def blocks(page, language):
    """The blocks of a page in a language, understood."""
    texts = re.findall(r"^```%s\n(.*?)^```" % language, page, re.MULTILINE | re.DOTALL)
    return [(yaml.safe_load if language == "yaml" else json.loads)(text) for text in texts]


class Workflows(unittest.TestCase):
    def test_the_workflow_of_a_page_is_one(self):
        page = (HERE / "github-action/README.md").read_text()
        [text] = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
        with tempfile.TemporaryDirectory() as folder:
            workflow = Path(folder) / "release.yml"
            workflow.write_text(text)
            for linter in (["actionlint"], ["zizmor", "--offline", "--quiet", "--config", ZIZMOR]):
                ended = subprocess.run([VENV / linter[0], *linter[1:], workflow], capture_output=True, text=True)
                self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)

    def test_the_programs_that_are_released_are_those_that_are_fetched(self):
        workflow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
        released = {row["target"] for row in workflow["jobs"]["build"]["strategy"]["matrix"]["include"]}
        self.assertGreater(len(released), 3)
        for script in ("github-action/fetch-fame.sh", "azure-devops/fame-release.yml"):
            fetched = set(re.findall(r"archive=fame-\$(?:version|VERSION)-([a-z0-9_-]+)\.", (HERE / script).read_text()))
            self.assertLessEqual(released, fetched, script)
        script = (HERE / "al-go/Get-FameProgram.ps1").read_text()
        for target in released:
            self.assertIn(f"-{target.split('-', 1)[1]}.", script)

    def test_the_workflow_for_releases_gives_the_action_what_it_knows(self):
        workflow = yaml.safe_load((HERE / "al-go/ourReleaseToFame.yaml").read_text())
        [job] = workflow["jobs"].values()
        [step] = [step for step in job["steps"] if "fame-release" in step.get("uses", "")]
        self.assertLessEqual(step["with"].keys(), Action.action["inputs"].keys())
        self.assertEqual(job["environment"], "fame")


POWERSHELL = sorted(file for file in HERE.rglob("*") if file.suffix in (".ps1", ".psm1", ".psd1"))
MODULE = HERE / "powershell/Fame/Fame.psm1"


def nodes(node):
    yield node
    for child in node.children:
        yield from nodes(child)


class PowerShellAsWritten(unittest.TestCase):
    """What can be told of scripts without running them."""

    parser = Parser(Language(tree_sitter_powershell.language()))

    def parsed(self, file):
        return self.parser.parse(file.read_bytes()).root_node

    def test_scripts_are_what_both_editions_understand(self):
        self.assertGreater(len(POWERSHELL), 5)
        for file in POWERSHELL:
            # Without a mark, Windows PowerShell would read anything else in the system's own code page.
            self.assertTrue(file.read_bytes().isascii(), file)
            for node in nodes(self.parsed(file)):
                where = f"{file}:{node.start_point[0] + 1}: {node.text.decode()[:60]}"
                self.assertFalse(node.type == "ERROR" or node.is_missing, where)
                # && and || came with PowerShell 7; a merged stream makes errors of what a program only says.
                self.assertNotIn(node.type, ("pipeline_chain_tail", "merging_redirection_operator"), where)

    def test_the_grammar_knows_what_only_powershell_7_has(self):
        for text in (b"$a = $b ?? 1", b"$a = $b ? 1 : 2", b"$a?.b", b"a && b", b"& $p 2>&1"):
            found = {node.type for node in nodes(self.parser.parse(text).root_node)}
            self.assertTrue(found & {"ERROR", "pipeline_chain_tail", "merging_redirection_operator"}, text)

    def test_the_exit_code_of_every_program_is_looked_at(self):
        for file in POWERSHELL:
            lines = file.read_text().splitlines()
            for number, line in enumerate(lines):
                if re.search(r"(^|[ =(])& (\$|tar )", line) and "exit-codes" not in line:
                    self.assertIn("$LASTEXITCODE", lines[number + 1], f"{file}:{number + 1}")

    def test_every_function_of_the_module_is_exported_and_explained(self):
        text = MODULE.read_text()
        manifest = (HERE / "powershell/Fame/Fame.psd1").read_text()
        exported = set(re.findall(r"'([A-Z][a-z]+-Fame[A-Za-z]*)'", manifest))
        # Whatever is explained is meant for others; the rest helps.
        explained = re.findall(r"<#\n(.*?)#>\nfunction ([\w-]+) \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
        self.assertEqual({name for _, name, _ in explained}, exported)
        approved = {"Add", "Get", "Invoke", "Publish", "Save", "Set", "Start", "Stop", "Wait"}
        for help_text, name, body in explained:
            self.assertIn(name.split("-")[0], approved)
            self.assertIn(".SYNOPSIS", help_text)
            self.assertIn(f"{name}", help_text.split(".EXAMPLE")[1], name)
            parameters = body.split("param(")[1].split("\n\n")[0]
            for parameter in re.findall(r"\] \$(\w+)", parameters):
                self.assertRegex(help_text, rf"\.PARAMETER {parameter}\n", name)

    def test_the_commands_and_options_of_the_scripts_are_those_of_fame(self):
        helps = {}
        text = MODULE.read_text()
        functions = re.findall(r"^function [\w-]+ \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
        tried = 0
        for body in functions:
            commands = re.findall(r"-ArgumentList (?:\(@\()?'(\w+)'(?:, '(\w+)')?", body)
            if not commands:
                continue
            options = set(re.findall(r"'(--[a-z-]+)'", body))
            known = "".join(self.help_of(helps, [word for word in words if word]) for words in commands)
            for option in options:
                self.assertRegex(known, rf"{option}\b", commands)
            tried += 1
        self.assertGreater(tried, 12)
        for file in ("al-go/Invoke-FameRelease.ps1", "github-action/release.sh", "azure-devops/fame-release.yml"):
            options = set(re.findall(r"(?<![\w-])(--[a-z]+[a-z-]*)", code(HERE / file)))
            options -= {"--fail", "--silent", "--show-error", "--location", "--retry", "--max-time"}
            self.assertGreater(len(options), 1, file)
            for option in options:
                self.assertRegex(self.help_of(helps, ["release"]), rf"{option}\b", file)

    def help_of(self, helps, words):
        key = tuple(words)
        if key not in helps:
            ended = subprocess.run([FAME, "help", *words], capture_output=True, text=True)
            self.assertEqual(ended.returncode, 0, f"fame {' '.join(words)}: {ended.stderr}")
            helps[key] = ended.stdout
        return helps[key]

    def test_the_settings_of_the_page_are_those_that_are_read(self):
        read = set(re.findall(r"Get-FameValue \$Setting '(\w+)'", (HERE / "al-go/Invoke-FameRelease.ps1").read_text()))
        read |= {"version", "sha256", "releases", "countries", "file", "profile", "runAfter", "timeout"}
        # What AL-Go itself reads.
        read |= {"Branches", "ContinuousDelivery", "continuousDeployment", "EnvironmentType"}
        page = (HERE / "al-go/README.md").read_text()
        context, deliver, deploy = blocks(page, "json")
        self.assertEqual(context.keys(), {"serverUrl"})
        self.assertLessEqual(deliver["DeliverToFame"].keys(), read)
        self.assertLessEqual(deploy["DeployToPilots"].keys(), read)


def code(file):
    """A script without its comments."""
    return "\n".join(line for line in file.read_text().splitlines() if not line.strip().startswith("#"))


PWSH = shutil.which("pwsh")


@unittest.skipUnless(PWSH, "no pwsh on this machine: the PowerShell scripts were parsed, and not run")
class PowerShell(Tried):
    """AL-Go's calls in all their shapes, and the module."""

    def setting(self, **more):
        pinned = {"version": VERSION, "sha256": self.release.sha256, "releases": self.release.url, "countries": ["US", "DE"]}
        return {"DeliverToFame": pinned | more}

    def calls_script(self, name, parameters, ends="0"):
        (self.folder / "parameters.json").write_text(json.dumps(parameters))
        script = f"""
            $ErrorActionPreference = 'Stop'
            Set-StrictMode -Version 2.0
            $parameters = Get-Content -Raw '{self.folder}/parameters.json' | ConvertFrom-Json -AsHashtable
            . '{HERE}/al-go/{name}' -parameters $parameters
        """
        return self.runs([PWSH, "-NoProfile", "-NonInteractive", "-Command", script], {"ENDS": ends})

    def test_a_delivery_uploads_previews(self):
        self.packages("apps/Contoso_Sales_1.0.0.0.app", "apps/deeper/Contoso_Library_1.0.0.0.app")
        parameters = {"Project": ".", "type": "CD", "appsFolder": str(self.work / "apps")}
        parameters |= {"Context": '{"serverUrl":"https://fame.contoso.com"}', "RepoSettings": self.setting()}
        ended = self.calls_script("DeliverToFame.ps1", parameters)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        [called] = self.called()
        options, packages = called["arguments"][: called["arguments"].index("--")], called["arguments"]
        self.assertEqual(options, ["release", "--availability", "Preview", "--countries", "US,DE", "--no-hotfix"])
        self.assertEqual(len(packages) - packages.index("--"), 3)
        self.assertEqual(called["variables"], {"FAME_URL": "https://fame.contoso.com"})

    def test_two_projects_are_delivered_one_after_the_other(self):
        self.packages("a/one.app", "b/two.app")
        for project in ("a", "b"):
            parameters = {"Project": project, "type": "CD", "appsFolder": str(self.work / project), "Context": "{}"}
            parameters |= {"ProjectSettings": self.setting(countries="US"), "RepoSettings": self.setting()}
            self.assertEqual(self.calls_script("DeliverToFame.ps1", parameters).returncode, 0)
        self.assertEqual([called["arguments"][4] for called in self.called()], ["US", "US"])

    def test_a_delivery_of_nothing_and_a_failing_program_are_red(self):
        nothing = {"Project": "empty", "type": "CD", "Context": "{}", "RepoSettings": self.setting()}
        ended = self.calls_script("DeliverToFame.ps1", nothing)
        self.assertIn("has no app to deliver", ended.stderr)
        self.packages("apps/one.app")
        ended = self.calls_script("DeliverToFame.ps1", nothing | {"appsFolder": str(self.work / "apps")}, ends="20")
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn("ended with 20: partial", ended.stderr)

    def test_a_program_that_is_not_the_pinned_one_is_not_run(self):
        self.packages("apps/one.app")
        parameters = {"Project": ".", "type": "CD", "appsFolder": str(self.work / "apps")}
        parameters |= {"RepoSettings": self.setting(sha256="1" * 64)}
        ended = self.calls_script("DeliverToFame.ps1", parameters)
        self.assertIn("has the SHA-256", ended.stderr)
        self.assertEqual(self.called(), [])

    def test_a_deployment_takes_archives_too(self):
        self.packages("apps/one.app")
        shutil.make_archive(self.work / "more", "zip", self.work / "apps")
        parameters = {"type": "CD", "EnvironmentName": "Pilots", "AuthContext": "{}", "Dependencies": []}
        parameters |= {"Apps": [str(self.work / "apps"), str(self.work / "more.zip")]}
        parameters |= self.setting(hotfixWhere="name eq 'Pilot'", wait=True)["DeliverToFame"]
        ended = self.calls_script("DeployToFame.ps1", parameters)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        [called] = self.called()
        expected = ["release", "--availability", "Available", "--countries", "US,DE", "--hotfix"]
        expected += ["--where", "name eq 'Pilot'", "--wait", "--"]
        self.assertEqual(called["arguments"][: len(expected)], expected)
        self.assertEqual(len(called["arguments"]) - len(expected), 2)

    def test_the_module_answers_objects_and_fails_with_the_exit_code(self):
        program = self.folder / "fame"
        program.write_text(PROGRAM)
        program.chmod(0o755)
        script = f"""
            $ErrorActionPreference = 'Stop'
            Import-Module '{HERE}/powershell/Fame'
            Set-FameProgram '{program}'
            (Get-FameVersion -App 'Contoso Sales' -Country US, DE).Count
            $env:ENDS = '20'
            try {{ Start-FameHotfix -App a -Version 1.0.0.0 -Country US -Filter "name eq 'X Y'" }} catch {{
                $_.FullyQualifiedErrorId
                $_.Exception.Message
            }}
        """
        prints = {"PRINTS": '[{"version":"1"},{"version":"2"}]'}
        ended = self.runs([PWSH, "-NoProfile", "-NonInteractive", "-Command", script], prints)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        said = ended.stdout.splitlines()
        self.assertEqual(said[0], "2")
        self.assertTrue(said[1].startswith("Fame.20"), said)
        self.assertIn("partial", said[2])
        one, two = (called["arguments"] for called in self.called())
        self.assertEqual(one, ["--json", "versions", "list", "Contoso Sales", "--country", "US", "--country", "DE"])
        self.assertEqual(two[-2:], ["--filter", "name eq 'X Y'"])


if __name__ == "__main__":
    unittest.main(verbosity=1)
