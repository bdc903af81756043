// What a vendor's and a customer's program does, with nothing but what openapi-typescript makes of openapi.json.

import createClient from "openapi-fetch";
import type { paths } from "./schema.d.ts";

const asked = JSON.parse(process.argv[2] ?? "{}") as {
  url: string;
  owner: string;
  customer: string;
  appId: string;
  countryCode: string;
  packageContents: string;
};

function client(token: string) {
  return createClient<paths>({ baseUrl: asked.url, headers: { Authorization: `Bearer ${token}` } });
}

/** What was answered, or the refusal's own words. */
function good<T>(answer: { data?: T; error?: { code?: string; message?: string } }): T {
  if (answer.data === undefined) {
    throw new Error(`${answer.error?.code}: ${answer.error?.message}`);
  }
  return answer.data;
}

const vendor = client(asked.owner);
const apps = good(await vendor.GET("/v1.0/apps", { params: { query: { $top: 50, $orderby: "name" } } }));
const app = apps.value.find((app) => app.id === asked.appId)!;

const path = { appId: app.id, countryCode: asked.countryCode };
const uploaded = good(
  await vendor.POST("/v1.0/apps/{appId}/countries/{countryCode}/versions", {
    params: { path },
    body: { initialAvailability: "Preview", packageContents: asked.packageContents },
  }),
);
const versions = good(
  await vendor.GET("/v1.0/apps/{appId}/countries/{countryCode}/versions", { params: { path } }),
);
const listed = versions.value.find((version) => version.version === uploaded.version)!;

const bytes = good(
  await vendor.POST("/v1.0/apps/{appId}/countries/{countryCode}/versions/{versionNumber}/getPackageContents", {
    params: { path: { ...path, versionNumber: listed.version } },
    parseAs: "arrayBuffer",
  }),
) as ArrayBuffer;

const customer = client(asked.customer);
const environments = good(await customer.GET("/admin/v2.0/applications/environments"));
const [environment] = environments.value;
const updates = good(
  await customer.GET(
    "/admin/v2.0/applications/{applicationFamily}/environments/{environmentName}/apps/availableUpdates",
    {
      params: {
        path: { applicationFamily: environment!.applicationFamily, environmentName: environment!.name },
      },
    },
  ),
);

console.log(
  JSON.stringify({
    apps: apps.value.length,
    availability: listed.availability,
    version: listed.version,
    packageContents: Buffer.from(bytes).toString("base64"),
    environments: environments.value.map((environment) => environment.name),
    updates: updates.value.map((update) => update.version),
  }),
);
