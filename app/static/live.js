/* The live page: asks api/realtime every five seconds while it can be seen, and shows what it was told, and when. */
"use strict";
(() => {
  const POLL_S = 5;
  const TIMEOUT_S = 12;
  const WINDOW_S = 300;
  const ANNOUNCE_S = 30;
  const PAGES_SHOWN = 10;

  const $ = (id) => document.getElementById(id);
  const body = document.body;
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const numbers = new Intl.NumberFormat();
  const countries = new Intl.DisplayNames(undefined, { type: "region" });
  const kiosk = new URLSearchParams(location.search).has("kiosk");

  let token = null;
  let sites = [];
  let site = null; // {id, domain, name}
  let answer = null;
  let receivedAt = 0; // ms, this machine's clock
  let failure = null; // {reason, offline, retryAt}
  let step = null; // what to ask next: listSites, poll, or null when there is nothing to ask
  let timer = 0;
  let round = 0; // answers to questions of an earlier round are dropped
  let allPages = false;
  let announcedAt = 0;
  let announced = "";

  // ---------------------------------------------------------------- asking

  class Refused extends Error {
    constructor(status, retryAfterS) {
      super("HTTP " + status);
      this.status = status;
      this.retryAfterS = retryAfterS;
    }
  }

  async function ask(path) {
    const response = await fetch(path, {
      headers: { Authorization: "Bearer " + token },
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

  /** Do the next step after some seconds; a hidden page waits until it is seen. */
  function schedule(seconds) {
    clearTimeout(timer);
    timer = document.hidden || !step ? 0 : setTimeout(() => step && step(), seconds * 1000);
  }

  function now() {
    clearTimeout(timer);
    if (step && !document.hidden) step();
  }

  async function listSites() {
    step = listSites;
    const asked = ++round;
    try {
      const list = (await ask("api/sites")).sites;
      if (asked !== round) return;
      failure = null;
      sites = list;
      chooseSite();
    } catch (error) {
      if (asked === round) refuse(error, () => signIn("This token may not read any site. It needs the scope read or admin."));
    }
  }

  async function poll() {
    step = poll;
    const asked = ++round;
    const startedAt = Date.now();
    try {
      const fresh = await ask("api/realtime?siteId=" + encodeURIComponent(site.id));
      if (asked !== round) return;
      if (!Array.isArray(fresh.visitorsPerMinute)) throw new SyntaxError();
      answer = fresh;
      receivedAt = Date.now();
      failure = null;
      show();
      schedule(Math.max(1, POLL_S - (Date.now() - startedAt) / 1000));
    } catch (error) {
      if (asked === round) refuse(error, denied);
    }
  }

  function refuse(error, onDenied) {
    if (error.status === 401) return signIn("This token is not valid, or it has expired.");
    if (error.status === 403) return onDenied();
    const wait = Math.max(POLL_S, error.retryAfterS || 0);
    const reason =
      error.status === 503 ? "The server cannot answer right now."
      : error.status === 429 ? "The server asks to be asked less often."
      : error.status ? `The server answered with an error (${error.status}).`
      : !navigator.onLine ? "You are offline."
      : error.name === "SyntaxError" ? "The server’s answer could not be read."
      : error.name === "TimeoutError" ? "The server did not answer in time."
      : "The server cannot be reached.";
    failure = { reason, offline: !error.status && !navigator.onLine, retryAt: Date.now() + wait * 1000 };
    tick();
    tell(reason + (answer ? " The numbers are not up to date." : ""), true);
    schedule(wait);
  }

  // ---------------------------------------------------------------- views

  function view(name) {
    body.dataset.view = name;
    $("signin").hidden = name !== "signin";
    $("notice").hidden = name !== "notice";
    $("live").hidden = name !== "live";
    $("leave").hidden = name === "signin";
    document.querySelector(".site").hidden = name === "signin" || !sites.length;
    document.querySelector(".health").hidden = name !== "live";
  }

  function notice(title, text) {
    $("notice-title").textContent = title;
    $("notice-text").textContent = text;
    view("notice");
    document.title = title + " · Pulsehouse";
  }

  function forget() {
    ++round;
    clearTimeout(timer);
    step = null;
    answer = failure = null;
    $("banner").hidden = true;
    body.dataset.health = "waiting";
  }

  function signIn(message) {
    forget();
    keep(null);
    sites = [];
    site = null;
    view("signin");
    document.title = "Pulsehouse";
    $("token").value = "";
    $("token-error").textContent = message || "";
    $("token").toggleAttribute("aria-invalid", Boolean(message));
    $("token").focus();
  }

  function enter(given) {
    keep(given);
    $("token-error").textContent = "";
    $("main").focus();
    notice("One moment …", "Asking which sites this token may read.");
    listSites();
  }

  function denied() {
    forget();
    notice("This token may not see this site", sites.length ? "Choose another site, or sign in with another token." : "Sign in with another token.");
    tell("This token may not see this site.", true);
  }

  function chooseSite() {
    const wanted = new URLSearchParams(location.search).get("siteId");
    const options = sites.map((one) => option(one, sites.some((other) => other !== one && label(other) === label(one))));
    site = sites.find((one) => one.id === wanted) || (wanted ? { id: wanted, domain: wanted } : sites[0]);
    if (!site) {
      forget();
      return notice("No site yet", "This token is valid, but there is no site that it may read. Add one with: pulsehouse site add");
    }
    if (!sites.includes(site)) options.push(option(site, false));
    $("site").replaceChildren(...options);
    $("site").value = site.id;
    open();
  }

  function label(one) {
    return one.name || one.domain || one.id;
  }

  function option(one, ambiguous) {
    return new Option(label(one) + (ambiguous ? ` (${one.domain || one.id})` : ""), one.id);
  }

  function open() {
    const address = new URL(location.href);
    address.searchParams.set("siteId", site.id);
    history.replaceState(null, "", address.href.replace("kiosk=&", "kiosk&").replace(/kiosk=$/, "kiosk"));
    forget();
    allPages = false;
    announced = "";
    $("domain").textContent = site.domain || site.id;
    const source = new URL("js/pulse.js", document.baseURI).href;
    $("snippet").textContent = `<script defer src="${source}" data-site="${site.id}"></script>`;
    blank();
    view("live");
    document.title = label(site) + " · Pulsehouse";
    poll();
  }

  // ---------------------------------------------------------------- showing

  function blank() {
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

  function show() {
    const { activeVisitors: visitors, pageviewsLast5Min: views } = answer;
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

  function count(number, noun) {
    return `${numbers.format(number)} ${noun}${number === 1 ? "" : "s"}`;
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
    const minutes = answer.visitorsPerMinute;
    const most = Math.max(1, ...minutes.map((one) => one.visitors));
    const inProgress = Math.floor(Date.parse(answer.timestamp) / 60000);
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

  function showPages() {
    const places = new Map([...$("pages").children].map((child, index) => [child.dataset.key, index]));
    const placeOf = (page) => places.get(page) ?? Infinity;
    const all = Object.entries(answer.pageBreakdown);
    // Most visitors first; among equals whoever is there already keeps the place.
    all.sort(([a, m], [b, n]) => n - m || (placeOf(a) === placeOf(b) ? 0 : placeOf(a) - placeOf(b)));
    const shown = allPages ? all : all.slice(0, PAGES_SHOWN);
    const most = Math.max(1, ...all.map(([, visitors]) => visitors));
    reconcile($("pages"), shown, ([page]) => page, createPage, (item, [, visitors]) => {
      change(item.querySelector("b"), numbers.format(visitors));
      item.querySelector(".line").style.setProperty("--v", visitors / most);
    });
    const hidden = all.length - PAGES_SHOWN;
    $("more").hidden = hidden <= 0;
    $("more").textContent = allPages ? "Show fewer pages" : `Show ${count(hidden, "more page")}`;
    $("more").setAttribute("aria-expanded", String(allPages));
    const elsewhere = answer.activeVisitors - all.reduce((sum, [, visitors]) => sum + visitors, 0);
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

  /** A page as people read it: percent-encoding undone where that gives plain text. */
  function pageName(page) {
    let text = page;
    try {
      const decoded = decodeURIComponent(page);
      if (!/[\p{C}\p{Zl}\p{Zp}]/u.test(decoded)) text = decoded;
    } catch {
      // not percent-encoded text: shown as it is
    }
    const name = element("bdi", "", text);
    name.title = page;
    return name;
  }

  function showFeed() {
    const seen = new Map();
    const rows = [...answer.recentPageviews].reverse().map((view) => {
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

  function flagOf(code) {
    return String.fromCodePoint(...[...code].map((letter) => 0x1f1a5 + letter.charCodeAt(0)));
  }

  function countryName(code) {
    try {
      return code ? countries.of(code) : "Country not known";
    } catch {
      return code;
    }
  }

  /** Some systems have no flags and would show the letters a second time. */
  function hasFlags() {
    const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    if (!context) return false;
    context.font = "24px sans-serif";
    context.fillText(flagOf("FR"), 0, 24);
    const data = context.getImageData(0, 0, 32, 32).data;
    return data.some((value, index) => index % 4 === 0 && Math.abs(value - data[index + 2]) > 40);
  }

  function span(seconds) {
    const whole = Math.max(0, Math.floor(seconds));
    return whole < 60 ? `${whole} s` : whole < 3600 ? `${Math.floor(whole / 60)} min` : `${Math.floor(whole / 3600)} h`;
  }

  /** What depends on the time that has passed: ages, and whether the numbers are still worth showing. */
  function tick() {
    const age = (Date.now() - receivedAt) / 1000;
    const health = failure ? (failure.offline ? "offline" : "stale") : answer ? "live" : "waiting";
    body.dataset.health = health;
    $("health").textContent =
      health === "live" ? "Live" : health === "waiting" ? "Loading" : answer ? `${health === "offline" ? "Offline" : "Stale"}, ${span(age)} old` : health === "offline" ? "Offline" : "No answer";
    if (answer) {
      const serverNow = Date.parse(answer.timestamp) / 1000 + age;
      for (const time of $("feed").querySelectorAll("time")) {
        const text = span(serverNow - Date.parse(time.dateTime) / 1000);
        if (time.textContent !== text) time.textContent = text;
      }
      if (age > WINDOW_S && body.dataset.gone === undefined) {
        body.dataset.gone = "";
        digits("–");
        $("active").textContent = "Not known: visitors";
      }
      if (!document.hidden) document.title = failure ? `Not up to date · ${label(site)}` : `${numbers.format(answer.activeVisitors)} · ${label(site)}`;
    }
    const at = answer && new Date(answer.timestamp).toLocaleTimeString();
    $("when").textContent = answer && failure && age <= WINDOW_S ? `at ${at}` : "right now";
    $("banner").hidden = !failure;
    if (failure) {
      const wait = Math.max(0, Math.ceil((failure.retryAt - Date.now()) / 1000));
      $("banner").textContent = [
        failure.reason,
        !answer ? "Nothing is known yet." : age > WINDOW_S ? `The last numbers were of ${at}, too old to show.` : `These are the numbers of ${at}, ${span(age)} ago.`,
        wait ? `Next try in ${span(wait)}.` : "Trying again …",
      ].join(" ");
    }
  }

  /** Tell screen readers: what is urgent at once, numbers when they changed and not too often. */
  function tell(text, urgent) {
    if (text === announced || (!urgent && announced && Date.now() - announcedAt < ANNOUNCE_S * 1000)) return;
    announced = text;
    announcedAt = Date.now();
    $("announce").textContent = text;
  }

  // ---------------------------------------------------------------- the tab

  function keep(given) {
    token = given;
    try {
      if (given) sessionStorage.setItem("token", given);
      else sessionStorage.removeItem("token");
    } catch {
      // storage is switched off: the token lives as long as the page
    }
  }

  function kept() {
    const given = new URLSearchParams(location.hash.slice(1)).get("token");
    if (given !== null) history.replaceState(null, "", location.pathname + location.search);
    try {
      return given || sessionStorage.getItem("token");
    } catch {
      return given;
    }
  }

  async function stayAwake() {
    try {
      if (kiosk && !document.hidden) await navigator.wakeLock.request("screen");
    } catch {
      // not allowed here: the display's own settings hold
    }
  }

  $("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const given = $("token").value.trim();
    if (/^[\x21-\x7e]+$/.test(given)) enter(given);
    else signIn("This is not a token: it has the form ph_live_…");
  });
  $("leave").addEventListener("click", () => signIn());
  $("site").addEventListener("change", () => {
    site = sites.find((one) => one.id === $("site").value) || site;
    open();
  });
  $("more").addEventListener("click", () => {
    allPages = !allPages;
    showPages();
  });
  $("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText($("snippet").textContent);
      $("copy").textContent = "Copied";
      setTimeout(() => ($("copy").textContent = "Copy"), 2000);
    } catch {
      getSelection().selectAllChildren($("snippet")); // no clipboard without https: selected, ready to be copied
    }
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      clearTimeout(timer);
      if (site) document.title = label(site) + " · Pulsehouse"; // no number that would grow old unseen
    } else {
      tick();
      now();
      stayAwake();
    }
  });
  addEventListener("online", now);
  addEventListener("offline", () => step && refuse(new TypeError("offline")));
  addEventListener("hashchange", () => {
    const given = kept();
    if (given && given !== token) enter(given);
  });
  setInterval(() => document.hidden || tick(), 1000);

  document.documentElement.classList.toggle("kiosk", kiosk);
  document.documentElement.classList.toggle("no-flags", !hasFlags());
  stayAwake();
  const given = kept();
  if (given) enter(given);
  else signIn();
})();
