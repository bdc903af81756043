"""What a vendor's and a customer's program does, with nothing but what openapi-generator makes of openapi.json."""

import base64
import json
import sys
import uuid

import made
from made.api.admin_api import AdminApi
from made.api.apps_api import AppsApi
from made.api.versions_api import VersionsApi

asked = json.loads(sys.argv[1])
path = {"app_id": uuid.UUID(asked["appId"]), "country_code": asked["countryCode"]}


def client(token):
    return made.ApiClient(made.Configuration(host=asked["url"], access_token=token))


vendor = client(asked["owner"])
apps = AppsApi(vendor).list_apps(top=50, orderby="name").value
app = next(app for app in apps if app.id == path["app_id"])
body = made.UploadVersion(initialAvailability=made.Availability.PREVIEW, packageContents=asked["packageContents"])
uploaded = VersionsApi(vendor).upload_version(**path, upload_version=body)
versions = VersionsApi(vendor).list_versions(**path).value
listed = next(version for version in versions if version.version == uploaded.version)
package = VersionsApi(vendor).get_package_contents(**path, version_number=listed.version)

customer = AdminApi(client(asked["customer"]))
environments = customer.list_own_environments().value
updates = customer.list_available_updates(environments[0].application_family, environments[0].name).value

json.dump(
    {
        "apps": len(apps),
        "availability": listed.availability.value,
        "version": listed.version,
        "packageContents": base64.b64encode(package).decode(),
        "environments": [environment.name for environment in environments],
        "updates": [update.version for update in updates],
    },
    sys.stdout,
)
