"""Signs people in with Microsoft's own library, in every way that programs of theirs do, and calls the API as them.

The environment says where: FAME_DEV is the line that `fame dev --json` prints. Prints one JSON object: for each way who
signed in, whether the library has filed the account and gets the next token without asking anybody, and how many apps
the API showed. Ends with 1 and the reason when something is refused.
"""

import html.parser
import json
import os
import sys
import threading
import urllib.parse
import webbrowser

import msal
import requests

READY = json.loads(os.environ["FAME_DEV"])
SCOPES = [READY["scope"]]
# An environment that names other authorities would win over what a session is told.
os.environ["REQUESTS_CA_BUNDLE"] = READY["caFile"]


def main() -> int:
    person = client_of("owner-user")
    # It asks for the browser of this machine; the one that it gets picks this person.
    webbrowser.register("picker", None, Picker(person["username"]), preferred=True)
    report = {
        "browser": by_browser(person),
        "browser of an OpenID Connect authority": by_browser(person, oidc=True),
        "device": by_device(person),
        "web": on_a_web_site(person),
        "application": as_application(client_of("customer-admin")),
    }
    json.dump(report, sys.stdout, sort_keys=True)
    print()
    return 0


def client_of(name: str) -> dict:
    return next(client for client in READY["clients"] if client["name"] == name)


def authority(tenant: str, oidc: bool = False) -> dict:
    """The two ways in which the library takes an authority that is not Microsoft's cloud."""
    address = f"{READY['httpsBaseUrl']}/{tenant}"
    if oidc:
        return {"oidc_authority": f"{address}/v2.0"}
    return {"authority": address, "instance_discovery": False}


def desktop(person: dict, oidc: bool = False) -> msal.PublicClientApplication:
    return msal.PublicClientApplication(
        person["clientId"], verify=READY["caFile"], **authority(person["tenantId"], oidc)
    )


def by_browser(person: dict, oidc: bool = False) -> dict:
    application = desktop(person, oidc)
    answer = application.acquire_token_interactive(SCOPES, timeout=60)
    return seen(application, answer)


def by_device(person: dict) -> dict:
    application = desktop(person)
    flow = application.initiate_device_flow(SCOPES)
    page = post(flow["verification_uri"], {"user_code": flow["user_code"]})
    post(urllib.parse.urljoin(flow["verification_uri"], page.action), page.picks(person["username"]))
    return seen(application, application.acquire_token_by_device_flow(flow))


def on_a_web_site(person: dict) -> dict:
    """Code and answer go through the query, and the application shows its secret."""
    application = msal.ConfidentialClientApplication(
        person["clientId"],
        client_credential=person["clientSecret"],
        verify=READY["caFile"],
        **authority(person["tenantId"]),
    )
    flow = application.initiate_auth_code_flow(SCOPES, redirect_uri="http://localhost:1", login_hint=person["username"])
    place = sent_back(flow["auth_uri"], person["username"]).headers["Location"]
    answer = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(place).query))
    return seen(application, application.acquire_token_by_auth_code_flow(flow, answer))


def as_application(client: dict) -> dict:
    application = msal.ConfidentialClientApplication(
        client["clientId"],
        client_credential=client["clientSecret"],
        verify=READY["caFile"],
        **authority(client["tenantId"]),
    )
    answer = application.acquire_token_for_client(SCOPES)
    url = f"{READY['httpsBaseUrl']}/admin/v2.28/authorizedAadApps/manageableTenants"
    return {"manageable tenants": len(rows(url, answer))}


def seen(application: msal.ClientApplication, answer: dict) -> dict:
    """What the library made of the answer."""
    apps = f"{READY['httpsBaseUrl']}/v1.4/apps"
    shown = len(rows(apps, answer))
    (account,) = application.get_accounts()
    again = application.acquire_token_silent(SCOPES, account)
    anew = application.acquire_token_silent(SCOPES, account, force_refresh=True)
    once_more = application.acquire_token_silent(SCOPES, account, force_refresh=True)
    rows(apps, once_more)
    return {
        "account": account["username"],
        "apps": shown,
        "from the cache": again["access_token"] == answer["access_token"],
        "anew": len({each["access_token"] for each in (answer, anew, once_more)}) == 3,
    }


def rows(url: str, answer: dict | None) -> list:
    if not answer or "access_token" not in answer:
        refuse(f"no token: {answer}")
    shown = requests.get(url, headers={"Authorization": f"Bearer {answer['access_token']}"}, timeout=30)
    if not shown.ok:
        refuse(f"{url}: {shown.status_code} {shown.text}")
    return shown.json()["value"]


class Page(html.parser.HTMLParser):
    """The form of a page: where it leads, what it sends, and what there is to press."""

    def __init__(self, text: str):
        super().__init__()
        self.action, self.fields, self.buttons, self.button = "", {}, {}, None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "form":
            self.action = given["action"]
        elif tag == "input" and "value" in given:
            self.fields[given["name"]] = given["value"]
        elif tag == "button":
            self.button = given.get("value")

    def handle_data(self, data):
        if self.button is not None:
            self.buttons[data] = self.button

    def picks(self, username: str) -> dict:
        return {**self.fields, "account": self.buttons[username]}


def sent_back(uri: str, username: str) -> requests.Response:
    """What a browser gets after its person has picked that account."""
    page = Page(fetched(requests.get(uri, timeout=30)).text)
    return fetched(
        requests.post(urllib.parse.urljoin(uri, page.action), page.picks(username), allow_redirects=False, timeout=30)
    )


def post(uri: str, fields: dict) -> Page:
    return Page(fetched(requests.post(uri, fields, timeout=30)).text)


def fetched(answer: requests.Response) -> requests.Response:
    if answer.status_code >= 400:
        refuse(f"{answer.url}: {answer.status_code} {answer.text}")
    return answer


class Picker(webbrowser.BaseBrowser):
    """A browser whose person always picks the same account. It goes its own way, as browsers do."""

    def __init__(self, username: str):
        super().__init__("picker")
        self.username = username

    def open(self, url, new=0, autoraise=True):
        threading.Thread(target=self.visit, args=(url,), daemon=True).start()
        return True

    def visit(self, url: str):
        page = Page(sent_back(url, self.username).text)
        requests.post(page.action, page.fields, timeout=30)


def refuse(message: str):
    print(message, file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
