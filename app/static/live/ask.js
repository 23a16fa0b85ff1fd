/* Asking the service: one question, or a stream of messages. */
import { state } from "./state.js";

const TIMEOUT_S = 12;

class Refused extends Error {
  constructor(response) {
    super("HTTP " + response.status);
    this.status = response.status;
    this.retryAfterS = Math.max(0, Number(response.headers.get("Retry-After")) || 0);
  }
}

async function request(path, more) {
  const response = await fetch(path, {
    ...more,
    headers: { Authorization: "Bearer " + state.token },
    cache: "no-store",
    credentials: "same-origin",
    referrerPolicy: "no-referrer",
  });
  if (!response.ok) throw new Refused(response);
  return response;
}

/** The JSON at a path, asked for by GET, or by POST with a body. */
export async function fetchJson(path, body) {
  const more = body ? { method: "POST", body: JSON.stringify(body) } : {};
  return (await request(path, { ...more, signal: AbortSignal.timeout(TIMEOUT_S * 1000) })).json();
}

/** The messages of a stream, until it ends: {event, data}, {retryS}, or {} for a sign of life. */
export async function* messages(path, signal) {
  const response = await request(path, { signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const whole = (rest + part.value).split("\n\n");
    rest = whole.pop();
    for (const text of whole) yield parse(text);
  }
}

function parse(text) {
  const fields = Object.fromEntries(text.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]));
  if (fields.retry) return { retryS: Number(fields.retry) / 1000 };
  return fields.event ? { event: fields.event, data: JSON.parse(fields.data) } : {};
}

/** Why there is no answer, in words for people. */
export function reasonOf(error) {
  return (
    error.status === 503 ? "The server cannot answer right now."
    : error.status === 429 ? "The server asks to be asked less often."
    : error.status ? `The server answered with an error (${error.status}).`
    : !navigator.onLine ? "You are offline."
    : error.name === "SyntaxError" ? "The server’s answer could not be read."
    : error.name === "TimeoutError" ? "The server did not answer in time."
    : "The server cannot be reached."
  );
}
