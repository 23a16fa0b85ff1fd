/* How fresh the numbers are: what is not of now never looks as if it were. */
import { drawBadge, plainIcon } from "./badge.js";
import { $, set } from "./dom.js";
import { reasonOf } from "./ask.js";
import { clockSeconds, span } from "./text.js";

const WINDOW_S = 300; // numbers older than the window they speak of are not shown
const LATE_S = 90; // a visible page hears from the service much more often
const ANNOUNCE_S = 30;

const body = document.body;
const clean = { at: 0, receivedAt: 0, sureAt: 0, failure: null, number: "", name: "", onGone: () => {}, onTick: () => {} };
let known = { ...clean };
let announced = "";
let announcedAt = 0;

/** Begin anew: numbers of something else. `onGone` is called when they are too old, `onTick` every second. */
export function expect(name, { onGone = () => {}, onTick = () => {} } = {}) {
  known = { ...clean, name, onGone, onTick };
  announced = "";
  delete body.dataset.gone;
  tick();
}

export function rename(name) {
  known.name = name;
  tick();
}

/** Numbers have come, which speak of this instant of the server's clock; `number` is the one for the tab. */
export function received(timestamp, number) {
  const now = Date.now();
  Object.assign(known, { at: Date.parse(timestamp), receivedAt: now, sureAt: now, failure: null, number });
  delete body.dataset.gone;
  tick();
}

/** Nothing else is known by now. */
export function confirmed() {
  Object.assign(known, { sureAt: Date.now(), failure: null });
  tick();
}

export function failed(error, waitS) {
  const reason = reasonOf(error);
  known.failure = { reason, offline: !error.status && !navigator.onLine, retryAt: Date.now() + waitS * 1000 };
  tick();
  tell(reason + (known.at ? " The numbers are not up to date." : ""), true);
}

/** The server's clock by now, ms. */
export const serverNow = () => known.at + Date.now() - known.receivedAt;

function tick() {
  const age = (Date.now() - known.sureAt) / 1000;
  const late = known.at && age > LATE_S && !document.hidden;
  const failure = known.failure || (late ? { reason: "The server has not been heard.", retryAt: 0 } : null);
  const health = failure ? (failure.offline ? "offline" : "stale") : known.at ? "live" : "waiting";
  const at = clockSeconds(new Date(known.at + known.sureAt - known.receivedAt));
  body.dataset.health = health;
  set($("health"), words(health, age));
  if (known.at && age > WINDOW_S && body.dataset.gone === undefined) {
    body.dataset.gone = "";
    known.onGone();
  }
  for (const when of document.querySelectorAll(".when")) set(when, known.at && failure && age <= WINDOW_S ? `at ${at}` : "right now");
  $("banner").hidden = !failure;
  if (failure) {
    const wait = Math.max(0, Math.ceil((failure.retryAt - Date.now()) / 1000));
    const numbers = !known.at ? "Nothing is known yet." : age > WINDOW_S ? `The last numbers were of ${at}, too old to show.` : `These are the numbers of ${at}, ${span(age)} ago.`;
    set($("banner"), `${failure.reason} ${numbers} ${wait ? `Next try in ${span(wait)}.` : "Trying again …"}`);
  }
  showInTab(failure);
  known.onTick();
}

function words(health, age) {
  if (health === "live") return "Live";
  if (health === "waiting") return "Loading";
  if (!known.at) return health === "offline" ? "Offline" : "No answer";
  return `${health === "offline" ? "Offline" : "Stale"}, ${span(age)} old`;
}

function showInTab(failure) {
  if (!known.name) return;
  const number = failure ? "" : known.number;
  document.title = failure ? `Not up to date · ${known.name}` : number ? `${number} · ${known.name}` : `${known.name} · Pulsehouse`;
  if (document.hidden && known.at) drawBadge(failure ? "–" : number);
  else plainIcon();
}

/** Tell screen readers: what is urgent at once, numbers when they changed and not too often. */
export function tell(text, urgent) {
  if (text === announced || (!urgent && announced && Date.now() - announcedAt < ANNOUNCE_S * 1000)) return;
  announced = text;
  announcedAt = Date.now();
  $("announce").textContent = text;
}

document.addEventListener("visibilitychange", tick);
setInterval(tick, 1000);
