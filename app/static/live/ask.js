/* Asking the service: one question at a time, again and again, never while nobody looks. */
import { state } from "./state.js";

export const POLL_S = 5;
const TIMEOUT_S = 12;

let step = null; // what to ask next; null when there is nothing to ask
let timer = 0;
let round = 0; // answers to questions of an earlier round are dropped

class Refused extends Error {
  constructor(status, retryAfterS) {
    super("HTTP " + status);
    this.status = status;
    this.retryAfterS = retryAfterS;
  }
}

async function fetchJson(path) {
  const response = await fetch(path, {
    headers: { Authorization: "Bearer " + state.token },
    cache: "no-store",
    credentials: "same-origin",
    referrerPolicy: "no-referrer",
    signal: AbortSignal.timeout(TIMEOUT_S * 1000),
  });
  if (!response.ok) {
    const seconds = Number(response.headers.get("Retry-After"));
    throw new Refused(response.status, seconds > 0 ? seconds : 0);
  }
  return response.json();
}

/** Ask `path`, and from now on again by `next`; the answer goes to one of the two, unless something else is asked by then. */
export async function ask(path, next, onAnswer, onFailure) {
  step = next;
  const asked = ++round;
  try {
    const answer = await fetchJson(path);
    if (asked === round) onAnswer(answer);
  } catch (error) {
    if (asked === round) onFailure(error);
  }
}

export const isAsking = () => step !== null;

/** Ask nothing any more, and drop what is still to come. */
export function stop() {
  ++round;
  pause();
  step = null;
}

export function pause() {
  clearTimeout(timer);
}

/** Ask again after some seconds; a hidden page waits until it is seen. */
export function schedule(seconds) {
  pause();
  timer = document.hidden || !step ? 0 : setTimeout(() => step && step(), seconds * 1000);
}

export function now() {
  pause();
  if (step && !document.hidden) step();
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
