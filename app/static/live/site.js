/* One site: its number, how it went, who is where, and what was opened last. */
import { read, withParameters } from "./address.js";
import { fetchJson } from "./ask.js";
import { drawBars } from "./bars.js";
import { addAnswer, chooseRange, lastVisit } from "./course.js";
import { $, change, move, set } from "./dom.js";
import { drawFeed, tickFeed } from "./feed.js";
import { drawNumber } from "./figure.js";
import { follow } from "./follow.js";
import { confirmed, expect, failed, received, rename, tell } from "./health.js";
import { openParts, updateParts } from "./parts.js";
import { isFiltered, state } from "./state.js";
import { clock, count, label, numbers, span, visible } from "./text.js";

const body = document.body;

/** Show a site and keep it up to date; `onDenied(error)` when the token may not. */
export function openSite(site, onDenied) {
  const path = `?siteId=${encodeURIComponent(site.id)}`;
  showSite(site);
  follow({
    ask: async () => [{ siteId: site.id, answer: await fetchJson("api/realtime" + path) }],
    stream: "api/realtime/stream" + path,
    onData: ([{ answer }]) => showAnswer(answer),
    onSame: confirmed,
    onTrouble: (error, waitS) => (error.status === 401 || error.status === 403 ? onDenied(error) : failed(error, waitS)),
  });
}

/** Put a site on the page, without numbers yet. */
export function showSite(site) {
  const { filters, tab, range } = read();
  Object.assign(state, { site, answer: null, filtered: null, filters, tab });
  expect(label(site), { onGone: blankNumber, onTick: tickFeed });
  showName();
  blankNumber();
  set($("pageviews"), "–");
  drawBars($("minutes"));
  $("feed").replaceChildren();
  showEmpty(false);
  openParts(drawHeadline);
  chooseRange(range);
}

/** The name of the site, which may become known later than its numbers; without one its id stands for it. */
export function showName(known = Boolean(state.site.domain || state.sites)) {
  const { site } = state;
  for (const place of [$("name"), $("crumb-name")]) {
    set(place, known ? label(site) : "");
    place.title = visible(site.domain || site.id);
  }
  if (known) rename(label(site));
  const source = new URL("js/pulse.js", document.baseURI).href;
  set($("snippet"), `<script defer src="${source}" data-site="${visible(site.id)}"></script>`);
}

/** Show the same site by another tab, range or filters, as the address has them. */
export function changeView() {
  const { filters, tab, range } = read();
  const same = JSON.stringify([filters, tab]) === JSON.stringify([state.filters, state.tab]);
  Object.assign(state, { filters, tab });
  chooseRange(range);
  if (same) return;
  openParts(drawHeadline);
  if (!state.answer) return;
  drawHeadline();
  drawFeed();
}

export function showAnswer(answer) {
  if (!Array.isArray(answer.visitorsPerMinute)) return;
  const { activeVisitors: visitors, pageviewsLast5Min: views } = answer;
  state.answer = answer;
  received(answer.timestamp, numbers.format(visitors));
  showEmpty(!visitors && !views);
  drawHeadline();
  drawBars($("minutes"), answer.visitorsPerMinute, answer.timestamp);
  updateParts();
  drawFeed();
  addAnswer(state.site.id, answer).then(() => body.hasAttribute("data-empty") && tellLastVisit());
  move(document.querySelector(".health i"), [{ boxShadow: "0 0 0 0 var(--lamp)" }, { boxShadow: "0 0 0 .35rem transparent" }], 1200);
  tell(`${count(visitors, "visitor")}, ${count(views, "pageview")}`, false);
}

/** The number: of all visitors, or of those that the filters keep. */
function drawHeadline() {
  const filtered = isFiltered();
  const { filtered: some, answer: all } = state;
  body.toggleAttribute("data-filtered", filtered);
  if (!all || (filtered && !some)) return blankNumber();
  const visitors = filtered ? some.activeVisitors : all.activeVisitors;
  const views = filtered ? some.pageviews : all.pageviewsLast5Min;
  drawNumber($("digits"), numbers.format(visitors));
  set($("active"), numbers.format(visitors));
  set($("active-label"), filtered ? `of ${count(Math.max(visitors, all.activeVisitors), "visitor")}` : visitors === 1 ? "visitor" : "visitors");
  change($("pageviews"), numbers.format(views));
  set($("pageviews-label"), `${views === 1 ? "pageview" : "pageviews"}${filtered ? " of theirs" : ""}`);
}

function blankNumber() {
  drawNumber($("digits"), "–");
  set($("active"), "Not known yet: visitors");
}

function showEmpty(empty) {
  body.toggleAttribute("data-empty", empty);
  $("empty").hidden = !empty;
  if (empty) tellLastVisit();
}

function tellLastVisit() {
  const at = lastVisit(state.site.id);
  $("install").open = at === null || $("install").open;
  if (at === undefined) return set($("last-visit"), "The next visitor appears here within seconds.");
  if (at === null) return set($("last-visit"), "Nobody has been here for two days, or ever. The next visitor appears here within seconds.");
  const ago = (Date.parse(state.answer.timestamp) - at) / 1000;
  const day = at.toDateString() === new Date(state.answer.timestamp).toDateString() ? "" : `${at.toLocaleDateString(undefined, { weekday: "long" })}, `;
  set($("last-visit"), `The last visitor was here ${span(ago)} ago (${day}${clock(at)}). The next one appears here within seconds.`);
}

/** The buttons that choose thirty minutes or a day. */
export function makeRanges() {
  for (const button of $("ranges").children)
    button.addEventListener("click", () => {
      history.replaceState(null, "", withParameters({ range: button.value === "day" ? "day" : null }));
      chooseRange(button.value);
    });
}
