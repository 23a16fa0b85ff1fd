/* All sites of a token at a glance, busiest first: found by typing, gone through by arrow keys. */
import { addressOf } from "./address.js";
import { fetchJson } from "./ask.js";
import { $, change, element, reconcile, set } from "./dom.js";
import { drawNumber } from "./figure.js";
import { follow } from "./follow.js";
import { confirmed, expect, failed, received, tell } from "./health.js";
import { state } from "./state.js";
import { count, label, numbers, visible } from "./text.js";

const PAGE = 60;
const MOST = 1000; // the service gives no more

let overview = null;
let shownUpTo = PAGE;
let order = []; // ids as they are shown

/** Show all sites and keep them up to date. `onFirst(overview)` may take the page elsewhere, by returning true. */
export function openSites(onFirst, onDenied) {
  overview = null;
  shownUpTo = PAGE;
  order = [];
  $("find").value = "";
  expect("All sites", { onGone: blank });
  blank();
  follow({
    ask: () => fetchJson(`api/realtime/overview?limit=${$("find").value || shownUpTo > 100 ? MOST : 100}`),
    onData(answer) {
      if (!overview && onFirst(answer)) return;
      overview = answer;
      received(answer.timestamp, numbers.format(answer.total.activeVisitors));
      drawSites();
      tell(`${count(answer.total.activeVisitors, "visitor")} on ${count(answer.total.sitesWithVisitors, "site")}`, false);
    },
    onSame: confirmed,
    onTrouble: (error, waitS) => (error.status === 401 || error.status === 403 ? onDenied(error) : failed(error, waitS)),
  });
}

function blank() {
  drawNumber($("all-digits"), "–");
  set($("all-active"), "Not known yet: visitors");
  set($("all-views"), "–");
  $("site-list").replaceChildren();
  $("more-sites").hidden = $("sites-note").hidden = true;
}

function drawSites() {
  if (!overview) return;
  const { total } = overview;
  drawNumber($("all-digits"), numbers.format(total.activeVisitors));
  set($("all-active"), numbers.format(total.activeVisitors));
  set($("all-label"), total.activeVisitors === 1 ? "visitor on" : "visitors on");
  set($("all-busy"), numbers.format(total.sitesWithVisitors));
  set($("all-sites"), `of ${count(total.sites, "site")}`);
  change($("all-views"), numbers.format(total.pageviewsLast5Min));
  const found = find($("find").value);
  const shown = steady(found.slice(0, state.kiosk ? MOST : shownUpTo));
  order = shown.map((one) => one.id);
  reconcile($("site-list"), shown, (one) => one.id, row, update);
  const hidden = found.length - shown.length;
  $("more-sites").hidden = hidden <= 0;
  set($("more-sites"), `Show ${numbers.format(Math.min(hidden, shownUpTo === PAGE ? 2 * PAGE : MOST))} more of ${numbers.format(found.length)}`);
  $("sites-note").hidden = found.length > 0;
  set($("sites-note"), state.sites ? "No site is called so." : "Looking through all sites …");
}

/** The sites that are asked for, busiest first; those that the overview has cut off come last. */
function find(text) {
  const known = overview.sites.map((one) => ({ ...one, id: one.siteId }));
  const seen = new Set(known.map((one) => one.id));
  // They are ordered, so the last one says how many the rest have at most.
  const most = known.at(-1)?.activeVisitors ?? 0;
  const rest = (state.sites ?? []).filter((one) => !seen.has(one.id)).map((one) => ({ ...one, activeVisitors: null, most }));
  const all = [...known, ...rest];
  const words = text.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  return words.length ? all.filter((one) => words.every((word) => `${one.name} ${one.domain} ${one.id}`.toLocaleLowerCase().includes(word))) : all;
}

/** While somebody points at the list or walks in it, nothing in it changes places. */
function steady(sites) {
  const list = $("site-list");
  const held = list.matches(":focus-within") || (matchMedia("(hover: hover)").matches && list.matches(":hover"));
  if (!held) return sites;
  const places = new Map(order.map((id, index) => [id, index]));
  const placeOf = (one) => places.get(one.id) ?? Infinity;
  return [...sites].sort((a, b) => (placeOf(a) === placeOf(b) ? 0 : placeOf(a) - placeOf(b)));
}

function row(one) {
  const link = element("a", "site-row");
  link.href = addressOf(one.id);
  const name = element("bdi", "", label(one));
  const domain = element("bdi", "domain", one.name && one.domain !== one.name ? visible(one.domain) : "");
  const bars = element("span", "mini", ...Array.from({ length: 5 }, () => element("i")));
  bars.setAttribute("aria-hidden", "true");
  link.append(element("span", "names", name, domain), bars, element("b"), element("span", "vh", " visitors"));
  return element("li", "", link);
}

function update(item, one) {
  const { activeVisitors: visitors, visitorsPerMinute: minutes = [0, 0, 0, 0, 0] } = one;
  item.classList.toggle("quiet-site", !visitors);
  change(item.querySelector("b"), visitors !== null ? numbers.format(visitors) : one.most ? `≤ ${numbers.format(one.most)}` : "0");
  const most = Math.max(4, ...minutes); // one visitor is not a full bar
  const bars = [...item.querySelectorAll(".mini i")];
  bars.forEach((bar, index) => bar.style.setProperty("--v", minutes[index] / most));
  bars.at(-1).style.setProperty("--ghost", minutes.at(-2) / most);
}

/** Search, arrow keys, and the button for more; `loadSites` fetches the names of all sites. */
export function makeSites(loadSites) {
  $("find").addEventListener("input", () => {
    shownUpTo = PAGE;
    drawSites();
    loadSites().then(drawSites, () => {});
  });
  $("more-sites").addEventListener("click", () => {
    shownUpTo = shownUpTo === PAGE ? 3 * PAGE : shownUpTo + MOST;
    drawSites();
    loadSites().then(drawSites, () => {});
  });
  document.addEventListener("keydown", (event) => {
    if (document.body.dataset.view !== "sites" || event.metaKey || event.ctrlKey || event.altKey) return;
    const links = [...$("site-list").querySelectorAll("a")];
    const inList = links.indexOf(document.activeElement);
    const inFind = document.activeElement === $("find");
    if (event.key === "/" && !inFind) $("find").focus();
    else if (event.key === "Escape" && (inFind || inList >= 0)) {
      $("find").value = "";
      $("find").focus();
      drawSites();
    } else if (event.key === "Enter" && inFind && links.length) links[0].click();
    else if (event.key.startsWith("Arrow") && (inList >= 0 || (inFind && event.key === "ArrowDown"))) (inFind ? links[0] : neighbour(links, inList, event.key))?.focus();
    else return;
    event.preventDefault();
  });
}

/** The link beside, above or below one; above the first row is the search. */
function neighbour(links, index, key) {
  if (key === "ArrowRight") return links[index + 1];
  if (key === "ArrowLeft") return links[index - 1] ?? $("find");
  const { left, top } = links[index].getBoundingClientRect();
  const placed = links.map((link) => ({ link, box: link.getBoundingClientRect() })).filter(({ box }) => Math.abs(box.left - left) < 2);
  if (key === "ArrowDown") return placed.find(({ box }) => box.top > top + 1)?.link ?? links.at(-1);
  return placed.findLast(({ box }) => box.top < top - 1)?.link ?? $("find");
}
