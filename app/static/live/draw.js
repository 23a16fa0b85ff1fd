/* Drawing: the numbers, the lists, and how old they are. */
import { WINDOW_S, state } from "./state.js";
import { count, countryName, flagOf, label, numbers, readable, span, visible } from "./text.js";

const ANNOUNCE_S = 30;
const PAGES_SHOWN = 10;

export const $ = (id) => document.getElementById(id);
const body = document.body;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

let announcedAt = 0;
let announced = "";

export function blank() {
  announced = "";
  digits("–");
  $("active").textContent = "Loading: visitors not known yet,";
  $("pageviews").textContent = "–";
  $("minutes").replaceChildren(...Array.from({ length: 5 }, () => minute("")));
  $("pages").replaceChildren();
  $("feed").replaceChildren();
  $("empty").hidden = $("more").hidden = $("rest").hidden = true;
  delete body.dataset.empty;
  delete body.dataset.gone;
  tick();
}

export function show() {
  const { activeVisitors: visitors, pageviewsLast5Min: views } = state.answer;
  const empty = !visitors && !views;
  delete body.dataset.gone;
  body.toggleAttribute("data-empty", empty);
  $("empty").hidden = !empty;
  digits(numbers.format(visitors));
  $("active").textContent = numbers.format(visitors);
  $("active-label").textContent = visitors === 1 ? "visitor" : "visitors";
  change($("pageviews"), numbers.format(views));
  $("pageviews-label").textContent = views === 1 ? "pageview" : "pageviews";
  showMinutes();
  showPages();
  showFeed();
  move(document.querySelector(".health i"), [{ boxShadow: "0 0 0 0 var(--lamp)" }, { boxShadow: "0 0 0 .5rem transparent" }], 1200);
  tick();
  tell(`${count(visitors, "visitor")}, ${count(views, "pageview")}`, false);
}

/** Each digit has its place; one that changes slides in from the side it grew from. */
function digits(text) {
  const box = $("digits");
  const before = box.dataset.text || "";
  if (before === text) return;
  const grew = Number(text.replace(/\D/g, "")) > Number(before.replace(/\D/g, ""));
  box.dataset.text = text;
  box.style.setProperty("--len", Math.max(2, text.length - 0.55 * text.replace(/\d/g, "").length)); // separators are narrow
  box.replaceChildren(
    ...[...text].map((character, index) => {
      const digit = element("span", "", character);
      const old = before[before.length - text.length + index];
      if (old !== character && before) move(digit, [{ transform: `translateY(${grew ? "" : "-"}.22em)`, opacity: 0 }, {}], 450);
      return digit;
    }),
  );
}

function change(target, text) {
  if (target.textContent === text) return;
  const first = target.textContent === "" || target.textContent === "–";
  target.textContent = text;
  if (!first) move(target, [{ color: "var(--lamp-ink)" }, {}], 1200);
}

function move(target, frames, duration) {
  if (!calm.matches && !document.hidden) target.animate(frames, { duration, easing: "cubic-bezier(.2,.8,.2,1)" });
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Make the children of a list those of `items`, keeping the elements of items that stay; what moves, glides. */
function reconcile(list, items, keyOf, create, update) {
  const old = new Map([...list.children].map((child) => [child.dataset.key, { child, top: child.offsetTop, left: child.offsetLeft }]));
  const wasFilled = old.size > 0;
  let place = list.firstElementChild;
  const kept = items.map((item) => {
    const key = keyOf(item);
    const known = old.get(key);
    const child = known ? known.child : create(item);
    old.delete(key);
    child.dataset.key = key;
    update(child, item);
    return { child, known };
  });
  for (const { child } of old.values()) {
    if (child === place) place = place.nextElementSibling;
    child.remove();
  }
  for (const { child } of kept) {
    if (child === place) place = place.nextElementSibling;
    else list.insertBefore(child, place);
  }
  if (calm.matches) return;
  const places = kept.map(({ child }) => [child.offsetLeft, child.offsetTop]);
  kept.forEach(({ child, known }, index) => {
    const [left, top] = places[index];
    if (!known) wasFilled && move(child, [{ opacity: 0, transform: "translateY(-.5rem)" }, {}], 500);
    else if (known.left !== left || known.top !== top)
      move(child, [{ transform: `translate(${known.left - left}px, ${known.top - top}px)` }, {}], 600);
  });
}

function minute(text) {
  const item = element("li");
  const column = element("div", "column");
  const bar = element("div", "bar");
  bar.append(element("b"));
  column.append(bar);
  item.append(column, element("span", "label", text));
  return item;
}

function showMinutes() {
  const minutes = state.answer.visitorsPerMinute;
  const most = Math.max(1, ...minutes.map((one) => one.visitors));
  const inProgress = Math.floor(Date.parse(state.answer.timestamp) / 60000);
  const rows = minutes.map((one, index) => ({ ...one, at: new Date((inProgress - (minutes.length - 1 - index)) * 60000), last: index === minutes.length - 1 }));
  if (!$("minutes").firstElementChild.dataset.key) [...$("minutes").children].forEach((child, index) => (child.dataset.key = rows[index].at.toISOString()));
  reconcile($("minutes"), rows, (one) => one.at.toISOString(), () => minute(""), (item, one) => {
    const clock = one.at.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    item.querySelector(".label").textContent = one.last ? "now" : clock;
    item.title = `${one.minute} UTC: ${count(one.visitors, "visitor")}${one.last ? " so far" : ""}`;
    change(item.querySelector("b"), numbers.format(one.visitors));
    item.querySelector(".bar").style.setProperty("--v", one.visitors / most);
  });
}

export function showPages() {
  const places = new Map([...$("pages").children].map((child, index) => [child.dataset.key, index]));
  const placeOf = (page) => places.get(page) ?? Infinity;
  const all = Object.entries(state.answer.pageBreakdown);
  // Most visitors first; among equals whoever is there already keeps the place.
  all.sort(([a, m], [b, n]) => n - m || (placeOf(a) === placeOf(b) ? 0 : placeOf(a) - placeOf(b)));
  const shown = state.allPages ? all : all.slice(0, PAGES_SHOWN);
  const most = Math.max(1, ...all.map(([, visitors]) => visitors));
  reconcile($("pages"), shown, ([page]) => page, createPage, (item, [, visitors]) => {
    change(item.querySelector("b"), numbers.format(visitors));
    item.querySelector(".line").style.setProperty("--v", visitors / most);
  });
  const hidden = all.length - PAGES_SHOWN;
  $("more").hidden = hidden <= 0;
  $("more").textContent = state.allPages ? "Show fewer pages" : `Show ${count(hidden, "more page")}`;
  $("more").setAttribute("aria-expanded", String(state.allPages));
  const elsewhere = state.answer.activeVisitors - all.reduce((sum, [, visitors]) => sum + visitors, 0);
  $("rest").hidden = elsewhere <= 0;
  $("rest").textContent = `and ${count(elsewhere, "visitor")} on pages beyond the first ${all.length}`;
}

function createPage([page]) {
  const item = element("li");
  const visitors = element("b");
  const line = element("div", "line");
  line.append(element("i"));
  item.append(pageName(page), visitors, line);
  return item;
}

function pageName(page) {
  const name = element("bdi", "", readable(page));
  name.title = visible(page);
  return name;
}

function showFeed() {
  const seen = new Map();
  const rows = [...state.answer.recentPageviews].reverse().map((view) => {
    const key = [view.timestamp, view.country, view.page].join(" ");
    seen.set(key, (seen.get(key) || 0) + 1);
    return { ...view, key: key + " " + seen.get(key) };
  });
  reconcile($("feed"), rows.reverse(), (view) => view.key, createView, () => {});
}

function createView(view) {
  const item = element("li");
  const flag = element("span", "flag", view.country ? flagOf(view.country) : "");
  flag.setAttribute("aria-hidden", "true");
  const code = element("abbr", "code", view.country || "––");
  code.title = countryName(view.country);
  const age = element("time");
  age.dateTime = view.timestamp;
  item.append(flag, code, pageName(view.page), age);
  return item;
}

/** What depends on the time that has passed: ages, and whether the numbers are still worth showing. */
export function tick() {
  const age = (Date.now() - state.receivedAt) / 1000;
  const health = state.failure ? (state.failure.offline ? "offline" : "stale") : state.answer ? "live" : "waiting";
  body.dataset.health = health;
  $("health").textContent =
    health === "live" ? "Live" : health === "waiting" ? "Loading" : state.answer ? `${health === "offline" ? "Offline" : "Stale"}, ${span(age)} old` : health === "offline" ? "Offline" : "No answer";
  if (state.answer) {
    const serverNow = Date.parse(state.answer.timestamp) / 1000 + age;
    for (const time of $("feed").querySelectorAll("time")) {
      const text = span(serverNow - Date.parse(time.dateTime) / 1000);
      if (time.textContent !== text) time.textContent = text;
    }
    if (age > WINDOW_S && body.dataset.gone === undefined) {
      body.dataset.gone = "";
      digits("–");
      $("active").textContent = "Not known: visitors";
    }
    if (!document.hidden) document.title = state.failure ? `Not up to date · ${label(state.site)}` : `${numbers.format(state.answer.activeVisitors)} · ${label(state.site)}`;
  }
  const at = state.answer && new Date(state.answer.timestamp).toLocaleTimeString();
  $("when").textContent = state.answer && state.failure && age <= WINDOW_S ? `at ${at}` : "right now";
  $("banner").hidden = !state.failure;
  if (state.failure) {
    const wait = Math.max(0, Math.ceil((state.failure.retryAt - Date.now()) / 1000));
    $("banner").textContent = [
      state.failure.reason,
      !state.answer ? "Nothing is known yet." : age > WINDOW_S ? `The last numbers were of ${at}, too old to show.` : `These are the numbers of ${at}, ${span(age)} ago.`,
      wait ? `Next try in ${span(wait)}.` : "Trying again …",
    ].join(" ");
  }
}

/** Tell screen readers: what is urgent at once, numbers when they changed and not too often. */
export function tell(text, urgent) {
  if (text === announced || (!urgent && announced && Date.now() - announcedAt < ANNOUNCE_S * 1000)) return;
  announced = text;
  announcedAt = Date.now();
  $("announce").textContent = text;
}
