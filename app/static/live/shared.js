/* One site for everybody who has the link: a public token reads its number and its bars, and no more. */
import { fetchJson } from "./ask.js";
import { drawBars } from "./bars.js";
import { $, set } from "./dom.js";
import { drawNumber } from "./figure.js";
import { follow } from "./follow.js";
import { expect, failed, received, tell } from "./health.js";
import { state } from "./state.js";
import { count, numbers } from "./text.js";

/** What is public says so. It is the service that decides what such a token may read. */
export const isPublic = (token) => Boolean(token?.startsWith("ph_public_"));

/** Show a site's numbers and keep them up to date; `onDenied(error)` when the token may not. */
export function openShared(siteId, onDenied) {
  state.site = { id: siteId, domain: "", name: "" };
  expect("Visitors right now", { onGone: blank });
  blank();
  drawBars($("minutes"));
  follow({
    ask: () => fetchJson("api/realtime/numbers?siteId=" + encodeURIComponent(siteId)),
    onData: show,
    onTrouble: (error, waitS) => (error.status === 401 || error.status === 403 ? onDenied(error) : failed(error, waitS)),
  });
}

function show({ activeVisitors: visitors, pageviewsLast5Min: views, visitorsPerMinute: minutes, timestamp }) {
  received(timestamp, numbers.format(visitors));
  drawNumber($("digits"), numbers.format(visitors));
  set($("active"), numbers.format(visitors));
  set($("active-label"), visitors === 1 ? "visitor" : "visitors");
  set($("pageviews"), numbers.format(views));
  set($("pageviews-label"), views === 1 ? "pageview" : "pageviews");
  drawBars($("minutes"), minutes, timestamp);
  tell(`${count(visitors, "visitor")}, ${count(views, "pageview")}`, false);
}

function blank() {
  drawNumber($("digits"), "–");
  set($("active"), "Not known yet: visitors");
  set($("pageviews"), "–");
}
