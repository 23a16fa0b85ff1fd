/* The visitors by page, source, country or campaign; a click on one of them keeps its visitors only. */
import { go, withParameters } from "./address.js";
import { fetchJson } from "./ask.js";
import { $, change, element, reconcile, set } from "./dom.js";
import { isFiltered, state } from "./state.js";
import { clockSeconds, count, countryName, flagOf, numbers, pageName, percent, visible } from "./text.js";

const SHOWN = 10;
const AGAIN_S = 3;

/** What a dimension is called, what its values are, and what having none of them means. */
const WORDS = {
  page: { title: "Page", none: "Not known", rest: "on pages" },
  referrer: { title: "Source", none: "Direct or not known", rest: "from sources" },
  country: { title: "Country", none: "Not known", rest: "from countries" },
  utmCampaign: { title: "Campaign", none: "No campaign", rest: "from campaigns" },
  utmSource: { title: "Campaign source", none: "None", rest: "from campaign sources" },
  utmMedium: { title: "Campaign medium", none: "None", rest: "from campaign media" },
};

let parts = null; // {by, activeVisitors, pageviews, breakdown, timestamp} of the site, tab and filters that are shown
let allShown = false;
let asked = "";
let askedAt = 0;
let askedIn = "";
let failing = false;
let later = 0;
let onFiltered = () => {};

/** Begin with another site, tab or filters; `callback` learns of each answer while there are filters. */
export function openParts(callback) {
  closeParts();
  onFiltered = callback;
  parts = state.filtered = null;
  allShown = failing = false;
  for (const tab of $("tabs").children) {
    const chosen = tab.value === state.tab;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    if (chosen) $("panel").setAttribute("aria-labelledby", tab.id);
  }
  drawChips();
  $("parts").replaceChildren();
  if (state.answer) updateParts();
  else drawParts();
}

/** Ask nothing more. */
export function closeParts() {
  clearTimeout(later);
  asked = "";
  askedAt = 0;
}

/** With each realtime answer: it has the pages; the rest is asked for, every few seconds at most. */
export async function updateParts() {
  if (state.tab === "page" && !isFiltered()) {
    const { activeVisitors, timestamp, pageBreakdown } = state.answer;
    const breakdown = Object.entries(pageBreakdown).map(([value, visitors]) => ({ value, visitors }));
    return take({ by: "page", activeVisitors, breakdown, timestamp });
  }
  const query = new URLSearchParams({ siteId: state.site.id, by: state.tab, ...state.filters }).toString();
  clearTimeout(later);
  const tooSoon = askedAt + AGAIN_S * 1000 - Date.now();
  const minute = state.answer.visitorsPerMinute.at(-1).minute; // with a new one the window has moved, and so have all numbers
  if (query === asked && minute === askedIn && tooSoon > 0) {
    later = setTimeout(updateParts, tooSoon);
    return;
  }
  asked = query;
  askedIn = minute;
  askedAt = Date.now();
  try {
    const answer = await fetchJson("api/realtime/breakdown?" + query);
    if (query === asked) take(answer);
  } catch {
    if (query !== asked) return;
    failing = true;
    drawParts();
  }
}

function take(answer) {
  parts = answer;
  failing = false;
  drawParts();
  if (isFiltered()) {
    state.filtered = answer;
    onFiltered();
  }
}

/** Make the rows anew: the site's domain has become known, so they can link to its pages. */
export function remakeParts() {
  $("parts").replaceChildren();
  drawParts();
}

export function toggleAll() {
  allShown = !allShown;
  drawParts();
}

function drawParts() {
  const all = parts ? ordered(parts.breakdown) : [];
  const shown = allShown ? all : all.slice(0, SHOWN);
  const total = parts?.activeVisitors ?? 0;
  reconcile($("parts"), shown, keyOf, row, (item, one) => {
    change(item.querySelector("b"), numbers.format(one.visitors));
    set(item.querySelector(".share"), percent(one.visitors, total));
    item.querySelector(".line").style.setProperty("--v", total ? one.visitors / total : 0);
  });
  const hidden = all.length - SHOWN;
  $("more").hidden = hidden <= 0;
  set($("more"), allShown ? "Show fewer" : `Show ${numbers.format(hidden)} more`);
  $("more").setAttribute("aria-expanded", String(allShown));
  const elsewhere = total - all.reduce((sum, { visitors }) => sum + visitors, 0);
  $("rest").hidden = elsewhere <= 0;
  set($("rest"), `and ${count(elsewhere, "visitor")} ${WORDS[state.tab].rest} beyond the first ${all.length}`);
  $("panel").classList.toggle("old", failing);
  const note = failing ? `No answer right now. ${parts ? `These are of ${clockSeconds(new Date(parts.timestamp))}.` : ""}` : parts && !all.length ? "None of the visitors right now." : "";
  $("parts-note").hidden = !note;
  set($("parts-note"), note);
}

// A value is text, or null; a key is text, which no two of them share.
const keyOf = ({ value }) => (value === null ? "none" : "is " + value);

/** Most visitors first; among equals whoever is there already keeps the place. */
function ordered(breakdown) {
  const places = new Map([...$("parts").children].map((child, index) => [child.dataset.key, index]));
  const placeOf = (one) => places.get(keyOf(one)) ?? Infinity;
  return [...breakdown].sort((a, b) => b.visitors - a.visitors || (placeOf(a) === placeOf(b) ? 0 : placeOf(a) - placeOf(b)));
}

function row({ value }) {
  const name = nameOf(state.tab, value);
  const picked = state.filters[state.tab] === (value ?? "");
  const pick = element(state.kiosk ? "span" : "button", "pick", name);
  if (!state.kiosk) {
    pick.type = "button";
    pick.setAttribute("aria-pressed", String(picked));
    pick.addEventListener("click", () => go(withParameters({ [state.tab]: picked ? null : (value ?? "") })));
  }
  const line = element("div", "line", element("i"));
  return element("li", "", pick, state.tab === "page" && !state.kiosk ? wayTo(value) : "", element("b"), element("span", "share"), line);
}

/** A value as people know it. */
function nameOf(by, value) {
  if (value === null || value === "") return element("span", "none", WORDS[by].none);
  if (by === "page") return pageName(value);
  if (by !== "country") return element("bdi", "", visible(value));
  const flag = element("span", "flag", flagOf(value));
  flag.setAttribute("aria-hidden", "true");
  return element("span", "", flag, countryName(value));
}

/** A link to a page of the site; it cannot lead to another host, whatever the page is called. */
function wayTo(page) {
  if (!URL.canParse(`https://${state.site.domain}`)) return "";
  const url = new URL(`https://${state.site.domain}`);
  url.pathname = page;
  const link = element("a", "out");
  Object.assign(link, { href: url.href, target: "_blank", rel: "noopener noreferrer", title: "Open in a new tab" });
  link.setAttribute("aria-label", `Open ${visible(page)} in a new tab`);
  return link;
}

function drawChips() {
  const chips = Object.entries(state.filters).map(([name, value]) => {
    const chip = element("button", "chip", element("span", "", WORDS[name].title, ": "), filterName(name, value), element("span", "cross"));
    chip.type = "button";
    chip.setAttribute("aria-label", `Remove the filter ${chip.textContent}`);
    chip.addEventListener("click", () => go(withParameters({ [name]: null })));
    return chip;
  });
  if (chips.length > 1) {
    const all = element("button", "quiet", "Remove all");
    all.addEventListener("click", () => go(withParameters(Object.fromEntries(Object.keys(state.filters).map((name) => [name, null])))));
    chips.push(all);
  }
  $("chips").hidden = !chips.length;
  $("chips").replaceChildren(...chips);
}

// A filter with an asterisk at its end is a beginning, which is no country and no whole page.
function filterName(name, value) {
  return value.endsWith("*") ? element("bdi", "", visible(value)) : nameOf(name, value);
}

/** Let the tabs be chosen by pointer and by arrow keys. */
export function makeTabs() {
  const tabs = [...$("tabs").children];
  const choose = (tab) => go(withParameters({ tab: tab.value === "page" ? null : tab.value }), { replace: true });
  $("tabs").addEventListener("click", (event) => event.target.closest("button") && choose(event.target.closest("button")));
  $("tabs").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const tab = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
    tab.focus();
    choose(tab);
  });
}
