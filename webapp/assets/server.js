// Requests to the server. Every failure is a Problem: a kind for the page, a sentence for people.

export class Problem extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

const OF_STATUS = { 401: "signed_out", 403: "not_allowed", 413: "too_large", 429: "busy" };

let signedOut = () => {};
let out = false; // told once, until the server answers again

/** Call when an answer says that this visitor is not signed in, or not any more. */
export const onSignedOut = (told) => (signedOut = told);

/** JSON from a route, relative to the page. Raises Problem, or AbortError when it was given up. */
export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { headers: { Accept: "application/json" }, ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("unreachable", "");
  }
  const body = await answer.json().catch(() => null);
  if (answer.ok) out = false;
  if (answer.ok && body !== null) return body;
  const kind = body?.kind ?? OF_STATUS[answer.status] ?? (answer.status === 503 ? "busy" : "failed");
  if (kind === "signed_out") {
    if (!out) signedOut();
    out = true;
    throw new Problem(kind, ""); // the server's own words are for programs
  }
  throw new Problem(kind, body?.error ?? "");
}

/** A search; with a picture the query travels in a form beside it. */
export function search(query, picture, signal) {
  if (!picture) {
    const headers = { "Content-Type": "application/json", Accept: "application/json" };
    return ask("api/search", { method: "POST", headers, body: JSON.stringify(query), signal });
  }
  const form = new FormData();
  form.append("query", JSON.stringify(query));
  form.append("image", picture.blob, "picture");
  return ask("api/search", { method: "POST", body: form, signal });
}
