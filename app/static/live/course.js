/* How the live number went: thirty minutes or a day, with the same time yesterday behind it, and the peak of today. */
import { fetchJson } from "./ask.js";
import { $, element } from "./dom.js";
import { drawLine } from "./line.js";
import { state } from "./state.js";
import { clock, count, numbers } from "./text.js";

const MINUTE = 60_000;
const DAY = 1440; // minutes
// Of a day each tenth minute is drawn: more would be noise.
const RANGES = { "half-hour": { points: 30, every: 1, labelEvery: 10 }, day: { points: DAY / 10, every: 10, labelEvery: 240 } };

const kept = new Map(); // site id -> what is known of its minutes
let range = "half-hour";
let shownPoints = [];
let touched = -1; // the point that is read, or -1

/** Minutes are counted from 1970: `values` has the visitors of each, of two days once `whole` is the minute they were asked in. */
function courseOf(siteId) {
  if (!kept.has(siteId)) kept.set(siteId, { values: new Map(), whole: 0, asked: 0 });
  return kept.get(siteId);
}

export function forgetCourses() {
  kept.clear();
}

/** Take a realtime answer in. With the first of a minute the history is asked for: it alone knows how a minute ended. */
export async function addAnswer(siteId, answer) {
  const course = courseOf(siteId);
  const minute = Math.floor(Date.parse(answer.timestamp) / MINUTE);
  course.values.set(minute, answer.activeVisitors);
  if (siteId === state.site?.id) drawCourse();
  if (course.asked >= minute) return;
  course.asked = minute;
  const since = course.whole ? Math.min(DAY, minute - course.whole + 1) : DAY;
  const path = `api/realtime/history?siteId=${encodeURIComponent(siteId)}&minutes=`;
  try {
    const asked = [fetchJson(path + since)];
    if (since === DAY) asked.push(fetchJson(`${path}${DAY}&daysAgo=1`));
    for (const history of await Promise.all(asked)) takeIn(course, history.points, minute);
    course.whole = minute;
    for (const old of course.values.keys()) if (old <= minute - 2 * DAY) course.values.delete(old);
    if (siteId === state.site?.id) drawCourse();
  } catch {
    // the line has a gap until the next minute
  }
}

function takeIn(course, points, minute) {
  for (const point of points) {
    const at = Date.parse(point.minute) / MINUTE;
    // Of the minute in progress the stream may know more by now.
    if (at < minute || !course.values.has(at)) course.values.set(at, point.activeVisitors);
  }
}

/** When somebody was last on a site, Date; null if not within two days; undefined while that is not known. */
export function lastVisit(siteId) {
  const { values, whole } = courseOf(siteId);
  if (!whole) return undefined;
  // A visitor of a minute is active in it and the four after it.
  const last = Math.max(...[...values].filter(([, visitors]) => visitors).map(([minute]) => minute - 4));
  return last > 0 ? new Date(last * MINUTE) : null;
}

export function chooseRange(name) {
  range = name;
  for (const button of $("ranges").children) button.setAttribute("aria-pressed", String(button.value === name));
  $("line").classList.toggle("day", name === "day");
  touched = -1;
  drawCourse();
}

/** Draw what is known of the site; its last point is the minute in progress. */
function drawCourse() {
  const { points, every, labelEvery } = RANGES[range];
  const { values } = courseOf(state.site.id);
  const now = state.answer ? Date.parse(state.answer.timestamp) : Date.now();
  const last = Math.floor(now / MINUTE);
  shownPoints = Array.from({ length: points }, (_, index) => {
    const minute = last - (points - 1 - index) * every;
    return { at: new Date(minute * MINUTE), value: values.get(minute) ?? null, before: values.get(minute - DAY) ?? null };
  });
  const peak = peakOfToday(values, last);
  drawLine($("line"), shownPoints, labelEvery, peak);
  $("line").setAttribute("aria-label", describe(peak));
  if (touched < 0) caption(peak);
  else readOut();
}

function peakOfToday(values, last) {
  const midnight = new Date(last * MINUTE);
  midnight.setHours(0, 0, 0, 0);
  let peak = null;
  for (let minute = Math.ceil(midnight / MINUTE); minute <= last; minute++) {
    const visitors = values.get(minute) ?? 0;
    if (visitors > (peak?.visitors ?? 0)) peak = { visitors, at: new Date(minute * MINUTE) };
  }
  return peak;
}

function describe(peak) {
  const known = shownPoints.filter((one) => one.value !== null).map((one) => one.value);
  const words = range === "day" ? "Visitors over 24 hours" : "Visitors over 30 minutes";
  if (!known.length) return `${words}: not known yet`;
  return `${words}: between ${numbers.format(Math.min(...known))} and ${numbers.format(Math.max(...known))}${peak ? `; today’s peak ${numbers.format(peak.visitors)} at ${clock(peak.at)}` : ""}`;
}

function caption(peak) {
  const parts = [];
  if (peak) parts.push(element("span", "", element("span", "key peak-key"), "Today’s peak ", element("b", "", numbers.format(peak.visitors)), ` at ${clock(peak.at)}`));
  const { before } = shownPoints.at(-1);
  if (before !== null) parts.push(yesterday("Yesterday at this time ", before));
  else if (shownPoints.some((one) => one.before !== null)) parts.push(yesterday("Yesterday"));
  write(parts);
}

function readOut() {
  const { at, value, before } = shownPoints[touched];
  const parts = [element("span", "", element("b", "", clock(at)), ` ${value === null ? "not known" : count(value, "visitor")}`)];
  if (before !== null) parts.push(yesterday("Yesterday ", before));
  write(parts);
}

function yesterday(words, visitors) {
  const made = element("span", "", element("span", "key before-key"), words);
  if (visitors !== undefined) made.append(element("b", "", numbers.format(visitors)));
  return made;
}

function write(parts) {
  $("line-note").replaceChildren(...parts);
}

function touch(event) {
  const area = $("line").querySelector(".field-of-line")?.getBoundingClientRect();
  if (!area || !shownPoints.length) return;
  const last = shownPoints.length - 1;
  touched = Math.min(last, Math.max(0, Math.round(((event.clientX - area.left) / area.width) * last)));
  pointAt(touched);
  readOut();
}

function pointAt(index) {
  const rule = $("line").querySelector(".rule");
  rule.classList.toggle("on", index >= 0);
  rule.style.left = `${(Math.max(0, index) / (shownPoints.length - 1)) * 100}%`;
}

/** Let the pointer read the line. */
export function makeReadable() {
  $("line").addEventListener("pointermove", touch);
  $("line").addEventListener("pointerdown", touch);
  $("line").addEventListener("pointerleave", () => {
    touched = -1;
    pointAt(-1);
    drawCourse();
  });
}
