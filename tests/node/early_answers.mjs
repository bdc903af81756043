// Sends requests with the fetch that Node has, one after the other, as a script of somebody's would.
//
// Reads a list of requests from standard input, as JSON: {"method", "url", "headers", "bytes"}. Prints one line for each:
// the status and the code of the answer, or the error that came instead.

const CONTENTS = '{"packageContents":"';

const requests = JSON.parse(await new Response(process.stdin).text());
for (const { method, url, headers, bytes } of requests) {
  const body = Buffer.alloc(bytes, "A");
  body.write(CONTENTS);
  try {
    const answer = await fetch(url, { method, headers, body });
    console.log(answer.status, (await answer.json()).error.code);
  } catch (error) {
    console.log(`${error} ${error.cause ?? ""}`);
  }
}
