/* The newest pageviews: where they are from, which page, how long ago. */
import { $, element, reconcile, set } from "./dom.js";
import { serverNow } from "./health.js";
import { state } from "./state.js";
import { countryName, flagOf, pageName, span } from "./text.js";

const TOLD = ["page", "country"]; // what the feed knows of a pageview

export function drawFeed() {
  const views = state.answer?.recentPageviews ?? [];
  const filters = Object.entries(state.filters);
  const tells = filters.every(([name]) => TOLD.includes(name));
  const seen = new Map();
  const rows = [...views].reverse().map((view) => {
    const key = [view.timestamp, view.country, view.page].join(" ");
    seen.set(key, (seen.get(key) || 0) + 1);
    return { ...view, key: key + " " + seen.get(key) };
  });
  const shown = tells ? rows.reverse().filter((view) => filters.every(([name, value]) => matches(view[name] ?? "", value))) : [];
  reconcile($("feed"), shown, (view) => view.key, viewItem, () => {});
  $("feed-note").hidden = !filters.length || (tells && shown.length > 0);
  set($("feed-note"), tells ? "None of the ten newest is one of these visitors’." : "The newest pageviews do not tell where their visitors came from.");
  tickFeed();
}

function matches(value, wanted) {
  return wanted.endsWith("*") ? value.startsWith(wanted.slice(0, -1)) : value === wanted;
}

function viewItem(view) {
  const flag = element("span", "flag", view.country ? flagOf(view.country) : "");
  flag.setAttribute("aria-hidden", "true");
  const code = element("abbr", "code", view.country || "––");
  code.title = countryName(view.country);
  const age = element("time");
  age.dateTime = view.timestamp;
  return element("li", "", flag, code, pageName(view.page), age);
}

export function tickFeed() {
  for (const time of $("feed").querySelectorAll("time")) set(time, span((serverNow() - Date.parse(time.dateTime)) / 1000));
}
