// Signs people in with Microsoft's own library, in every way that programs of theirs do, and calls the API as them.
//
// The environment says where: FAME_DEV is the line that `fame dev --json` prints; NODE_EXTRA_CA_CERTS names its authority.
// The first argument is the folder in which the libraries are installed. Prints one JSON object: for each way who signed
// in, whether the library has filed the account and gets the next token without asking anybody, and how many apps the API
// showed.

import { createRequire } from "node:module";
import http from "node:http";
import https from "node:https";
import path from "node:path";
import tls from "node:tls";

const installed = createRequire(path.resolve(process.argv[2], "package.json"));
const msal = installed("@azure/msal-node");
const msal2 = installed("msal-node-2");

const ready = JSON.parse(process.env.FAME_DEV);
const clientOf = (name) => ready.clients.find((client) => client.name === name);
const person = clientOf("owner-user");
const scopes = [ready.scope];
const authority = (tenant) => {
  const { host } = new URL(ready.httpsBaseUrl);
  return { authority: `https://${host}/${tenant}`, knownAuthorities: [host] };
};

// What Business Central's addresses lead to on a machine whose hosts file names this one, with the port of https there.
const renamed = ["login.microsoftonline.com", "apps.businesscentral.dynamics.com"];
const usual = https.globalAgent.createConnection;
https.globalAgent.createConnection = function (options, done) {
  if (!renamed.includes(options.host)) return usual.call(this, options, done);
  const { port } = new URL(ready.httpsBaseUrl);
  return tls.connect({ ...options, servername: options.host, host: "127.0.0.1", port });
};

/** What is answered to a request, by the connections that programs have without a library. */
function ask(url, { method = "GET", headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    const speaks = url.startsWith("https:") ? https : http;
    const request = speaks.request(url, { method, headers, agent: speaks.globalAgent }, (answer) => {
      let text = "";
      answer.on("data", (chunk) => (text += chunk));
      answer.on("end", () => {
        if (answer.statusCode >= 400) reject(new Error(`${url}: ${answer.statusCode} ${text}`));
        resolve({ place: answer.headers.location, text });
      });
    });
    request.on("error", reject);
    request.end(body);
  });
}

const post = (url, fields) =>
  ask(url, {
    method: "POST",
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams(fields).toString(),
  });

const unescaped = (text) =>
  text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name) => ({ amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" })[name]);

/** The form of a page: where it leads, and what it sends. */
function form({ text }) {
  const fields = {};
  for (const [, name, value] of text.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)) {
    fields[unescaped(name)] = unescaped(value);
  }
  return { action: unescaped(text.match(/<form method="post" action="([^"]*)"/)[1]), fields };
}

/** Picks the person's account, and posts it with what else the page's form sends. */
async function pick(url, page) {
  const { action, fields } = form(page);
  const account = page.text.match(new RegExp(`value="([^"]*)">[^<]*<small>${person.username}<`))[1];
  return post(new URL(action, url).href, { ...fields, account });
}

/** A browser whose person always picks the same account. */
async function browse(url) {
  const back = await pick(url, await ask(url));
  if (back.place) return ask(back.place);
  const { action, fields } = form(back);
  return post(action, fields);
}

async function rows(url, token) {
  return JSON.parse((await ask(url, { headers: { Authorization: `Bearer ${token}` } })).text).value;
}

/** What the library made of the answer. */
async function seen(application, answer, scopes, api) {
  const shown = await rows(`${api}/apps`, answer.accessToken);
  const accounts = await application.getTokenCache().getAllAccounts();
  if (accounts.length !== 1) throw new Error(`${accounts.length} accounts`);
  const [account] = accounts;
  const again = await application.acquireTokenSilent({ account, scopes });
  const anew = await application.acquireTokenSilent({ account, scopes, forceRefresh: true });
  const onceMore = await application.acquireTokenSilent({ account, scopes, forceRefresh: true });
  await rows(`${api}/apps`, onceMore.accessToken);
  return {
    account: account.username,
    apps: shown.length,
    "from the cache": again.accessToken === answer.accessToken,
    anew: new Set([answer, anew, onceMore].map((each) => each.accessToken)).size === 3,
  };
}

const api = `${ready.httpsBaseUrl}/v1.4`;
const desktop = ({ PublicClientApplication }, auth) =>
  new PublicClientApplication({ auth: { clientId: person.clientId, ...auth } });

async function byBrowser(library) {
  const application = desktop(library, authority(person.tenantId));
  const answer = await application.acquireTokenInteractive({ scopes, openBrowser: browse });
  return seen(application, answer, scopes, api);
}

async function byDevice() {
  const application = desktop(msal, authority(person.tenantId));
  const deviceCodeCallback = async ({ verificationUri, userCode }) =>
    pick(verificationUri, await post(verificationUri, { user_code: userCode }));
  return seen(application, await application.acquireTokenByDeviceCode({ scopes, deviceCodeCallback }), scopes, api);
}

/** The program that keeps a secret: its code comes by the query, as programs without a browser of their own ask for it. */
async function onAWebSite() {
  const auth = { clientId: person.clientId, clientSecret: person.clientSecret, ...authority(person.tenantId) };
  const application = new msal.ConfidentialClientApplication({ auth });
  const redirectUri = "http://localhost:1";
  const { verifier, challenge } = await new msal.CryptoProvider().generatePkceCodes();
  const request = { scopes, redirectUri, responseMode: "query", state: "of the site" };
  const url = await application.getAuthCodeUrl({ ...request, codeChallenge: challenge, codeChallengeMethod: "S256" });
  const back = new URL((await pick(url, await ask(url))).place).searchParams;
  if (back.get("state") !== request.state) throw new Error(`the state is ${back.get("state")}`);
  const code = { ...request, code: back.get("code"), codeVerifier: verifier };
  return seen(application, await application.acquireTokenByCode(code), scopes, api);
}

async function asApplication() {
  const { clientId, clientSecret, tenantId } = clientOf("customer-admin");
  const application = new msal.ConfidentialClientApplication({ auth: { clientId, clientSecret, ...authority(tenantId) } });
  const { accessToken } = await application.acquireTokenByClientCredential({ scopes });
  const url = `${ready.httpsBaseUrl}/admin/v2.28/authorizedAadApps/manageableTenants`;
  return { "manageable tenants": (await rows(url, accessToken)).length };
}

/** As the VS Code client does it: Microsoft's addresses, Business Central's own scope, and no switch of any kind. */
async function inVsCode() {
  const application = desktop(msal2, { authority: `https://login.microsoftonline.com/${person.tenantId}` });
  const scopes = ["https://apps.businesscentral.dynamics.com/.default"];
  const answer = await application.acquireTokenInteractive({ scopes, openBrowser: browse });
  return seen(application, answer, scopes, "https://apps.businesscentral.dynamics.com/v1.3");
}

const report = {
  browser: await byBrowser(msal),
  "browser of version 2": await byBrowser(msal2),
  device: await byDevice(),
  web: await onAWebSite(),
  application: await asApplication(),
  "VS Code": await inVsCode(),
};
console.log(JSON.stringify(report));
