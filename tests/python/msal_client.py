"""Signs in with Microsoft's own library and calls the API, as a script of somebody's would.

Configured by the environment:

    AUTHORITY      https address of the token issuer with its tenant: https://host:port/<tenant id>
    CLIENT_ID      the application that signs in
    CLIENT_SECRET  its secret
    SCOPE          what it asks for: <App ID URI or client id of the API>/.default
    API_URL        address of the service, without /v1.x
    CA_FILE        PEM file with the certificate authority of issuer and service

Prints one JSON object: for each way of naming the authority the apps, and the versions of the first app's first
country that are not deprecated. Ends with 1 and the issuer's or the service's answer when something is refused.
"""

import json
import os
import sys

import msal
import requests

FILTER = "status eq 'Uploaded' and availability ne 'Deprecated'"


def main() -> int:
    settings = {name: required(name) for name in ("AUTHORITY", "CLIENT_ID", "CLIENT_SECRET", "SCOPE", "API_URL")}
    trusted = required("CA_FILE")
    # An environment that names other authorities would win over what a session is told.
    os.environ["REQUESTS_CA_BUNDLE"] = trusted

    report = {}
    for name, application in applications(settings, trusted):
        token = token_of(application, settings["SCOPE"])
        report[name] = walk(settings["API_URL"].rstrip("/"), token)
    json.dump(report, sys.stdout, sort_keys=True)
    print()
    return 0


def required(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        refuse(f"the environment does not say {name}")
    return value


def applications(settings: dict, trusted: str):
    """The two ways in which the library takes an authority that is not Microsoft's cloud."""
    client = {
        "client_id": settings["CLIENT_ID"],
        "client_credential": settings["CLIENT_SECRET"],
        "verify": trusted,
    }
    authority = settings["AUTHORITY"].rstrip("/")
    # Instance discovery would ask Microsoft's cloud whether it knows the host.
    yield "authority", msal.ConfidentialClientApplication(
        authority=authority, instance_discovery=False, **client
    )
    yield "oidc_authority", msal.ConfidentialClientApplication(oidc_authority=f"{authority}/v2.0", **client)


def token_of(application: msal.ConfidentialClientApplication, scope: str) -> str:
    answer = application.acquire_token_for_client(scopes=[scope])
    if "access_token" not in answer:
        refuse(f"no token: {answer}")
    return answer["access_token"]


def walk(api_url: str, token: str) -> dict:
    """Lists the apps, and the versions of the first of them in its first country."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        apps = rows(session, f"{api_url}/v1.4/apps")
        versions = []
        if apps:
            app = f"{api_url}/v1.4/apps/{apps[0]['id']}"
            countries = rows(session, f"{app}/countries")
            if countries:
                country = f"{app}/countries/{countries[0]['countryCode']}"
                # The library encodes the option's name, and writes a plus sign for each blank.
                versions = rows(session, f"{country}/versions", {"$filter": FILTER})
        return {
            "apps": [app["id"] for app in apps],
            "versions": [version["version"] for version in versions],
        }


def rows(session: requests.Session, url: str, params: dict | None = None) -> list:
    answer = session.get(url, params=params, timeout=30)
    if not answer.ok:
        refuse(f"{url}: {answer.status_code} {answer.headers.get('ms-correlation-x')} {answer.text}")
    return answer.json()["value"]


def refuse(message: str):
    print(message, file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
