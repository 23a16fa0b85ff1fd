/* The number and the bars of one site, in somebody's page. docs/live.md */
import { fetchJson } from "./live/ask.js";
import { drawBars } from "./live/bars.js";
import { $, set } from "./live/dom.js";
import { drawNumber } from "./live/figure.js";
import { follow } from "./live/follow.js";
import { state } from "./live/state.js";
import { clockSeconds, numbers } from "./live/text.js";

const WINDOW_S = 300; // numbers older than the window they speak of are not shown

const body = document.body;
const query = new URLSearchParams(location.search);
const siteId = query.get("siteId") || "";
let heardAt = 0; // ms; 0 before the first answer

function show({ activeVisitors: visitors, visitorsPerMinute: minutes, timestamp }) {
  heardAt = Date.now();
  body.dataset.health = "live";
  delete body.dataset.gone;
  showNumber(numbers.format(visitors));
  set($("caption"), `${visitors === 1 ? "visitor" : "visitors"} right now`);
  drawBars($("minutes"), minutes, timestamp);
}

function showTrouble(error) {
  body.dataset.health = "stale";
  if (error.status === 401 || error.status === 403) {
    heardAt = 0;
    return hide("This number is not shown any more.");
  }
  if (error.status === 400) return hide("This frame names no site.");
  if (heardAt) set($("caption"), `visitors at ${clockSeconds(new Date(heardAt))}; no answer now`);
  else hide("No answer right now.");
}

function hide(reason) {
  body.dataset.gone = "";
  showNumber("–");
  set($("caption"), reason);
}

function showNumber(text) {
  drawNumber($("digits"), text);
  set($("active"), text === "–" ? "Not known:" : text);
}

state.token = query.get("key") || "";
document.documentElement.dataset.theme = ["light", "dark", "transparent", "transparent-dark"].find((name) => name === query.get("theme")) || "auto";
drawBars($("minutes"));
setInterval(() => heardAt && Date.now() - heardAt > WINDOW_S * 1000 && hide("Not known: no answer for over five minutes."), 1000);
follow({
  ask: () => fetchJson(`api/realtime/numbers?siteId=${encodeURIComponent(siteId)}`),
  onData: show,
  onTrouble: showTrouble,
});
