"""What a vendor's and a customer's program does, with nothing but what openapi-python-client makes of openapi.json."""

import base64
import json
import sys
import uuid

from made import AuthenticatedClient
from made.api.admin import list_available_updates, list_own_environments
from made.api.apps import list_apps
from made.api.versions import get_package_contents, list_versions, upload_version
from made.models import Availability, UploadVersion

asked = json.loads(sys.argv[1])
path = {"app_id": uuid.UUID(asked["appId"]), "country_code": asked["countryCode"]}

vendor = AuthenticatedClient(base_url=asked["url"], token=asked["owner"])
apps = list_apps.sync(client=vendor, top=50, orderby="name").value
app = next(app for app in apps if app.id == path["app_id"])
body = UploadVersion(initial_availability=Availability.PREVIEW, package_contents=asked["packageContents"])
uploaded = upload_version.sync(**path, client=vendor, body=body)
versions = list_versions.sync(**path, client=vendor).value
listed = next(version for version in versions if version.version == uploaded.version)
package = get_package_contents.sync(**path, version_number=listed.version, client=vendor)

customer = AuthenticatedClient(base_url=asked["url"], token=asked["customer"])
environments = list_own_environments.sync(client=customer).value
updates = list_available_updates.sync(
    client=customer,
    application_family=environments[0].application_family,
    environment_name=environments[0].name,
).value

json.dump(
    {
        "apps": len(apps),
        "availability": listed.availability.value,
        "version": listed.version,
        "packageContents": base64.b64encode(package.payload.read()).decode(),
        "environments": [environment.name for environment in environments],
        "updates": [update.version for update in updates],
    },
    sys.stdout,
)
