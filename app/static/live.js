/* The live page: asks api/realtime every five seconds while it can be seen, and shows what it was told, and when. */
import { POLL_S, ask, isAsking, now, pause, reasonOf, schedule, stop } from "./live/ask.js";
import { $, blank, show, showPages, tell, tick } from "./live/draw.js";
import { keep, kept, state } from "./live/state.js";
import { hasFlags, label, visible } from "./live/text.js";

const body = document.body;
const kiosk = new URLSearchParams(location.search).has("kiosk");

function listSites() {
  ask("api/sites", listSites, (list) => {
    state.failure = null;
    state.sites = list.sites;
    chooseSite();
  }, (error) => refuse(error, () => signIn("This token may not read any site. It needs the scope read or admin.")));
}

function poll() {
  const startedAt = Date.now();
  ask("api/realtime?siteId=" + encodeURIComponent(state.site.id), poll, (answer) => {
    if (!Array.isArray(answer.visitorsPerMinute)) throw new SyntaxError();
    Object.assign(state, { answer, receivedAt: Date.now(), failure: null });
    show();
    schedule(Math.max(1, POLL_S - (Date.now() - startedAt) / 1000));
  }, (error) => refuse(error, denied));
}

function refuse(error, onDenied) {
  if (error.status === 401) return signIn("This token is not valid, or it has expired.");
  if (error.status === 403) return onDenied();
  const wait = Math.max(POLL_S, error.retryAfterS || 0);
  const reason = reasonOf(error);
  state.failure = { reason, offline: !error.status && !navigator.onLine, retryAt: Date.now() + wait * 1000 };
  tick();
  tell(reason + (state.answer ? " The numbers are not up to date." : ""), true);
  schedule(wait);
}

// ---------------------------------------------------------------- views

function view(name) {
  body.dataset.view = name;
  $("signin").hidden = name !== "signin";
  $("notice").hidden = name !== "notice";
  $("live").hidden = name !== "live";
  $("leave").hidden = name === "signin";
  document.querySelector(".site").hidden = name === "signin" || !state.sites.length;
  document.querySelector(".health").hidden = name !== "live";
}

function notice(title, text) {
  $("notice-title").textContent = title;
  $("notice-text").textContent = text;
  view("notice");
  document.title = title + " · Pulsehouse";
}

function forget() {
  stop();
  state.answer = state.failure = null;
  $("banner").hidden = true;
  body.dataset.health = "waiting";
}

function signIn(message) {
  forget();
  keep(null);
  state.sites = [];
  state.site = null;
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
  notice("This token may not see this site", state.sites.length ? "Choose another site, or sign in with another token." : "Sign in with another token.");
  tell("This token may not see this site.", true);
}

function chooseSite() {
  const wanted = new URLSearchParams(location.search).get("siteId");
  const options = state.sites.map((one) => option(one, state.sites.some((other) => other !== one && label(other) === label(one))));
  state.site = state.sites.find((one) => one.id === wanted) || (wanted ? { id: wanted, domain: wanted } : state.sites[0]);
  if (!state.site) {
    forget();
    return notice("No site yet", "This token is valid, but there is no site that it may read. Add one with: pulsehouse site add");
  }
  if (!state.sites.includes(state.site)) options.push(option(state.site, false));
  $("site").replaceChildren(...options);
  $("site").value = state.site.id;
  open();
}

function option(one, ambiguous) {
  return new Option(label(one) + (ambiguous ? ` (${visible(one.domain || one.id)})` : ""), one.id);
}

function open() {
  const address = new URL(location.href);
  address.searchParams.set("siteId", state.site.id);
  history.replaceState(null, "", address.href.replace("kiosk=&", "kiosk&").replace(/kiosk=$/, "kiosk"));
  forget();
  state.allPages = false;
  $("domain").textContent = visible(state.site.domain || state.site.id);
  const source = new URL("js/pulse.js", document.baseURI).href;
  $("snippet").textContent = `<script defer src="${source}" data-site="${visible(state.site.id)}"></script>`;
  blank();
  view("live");
  document.title = label(state.site) + " · Pulsehouse";
  poll();
}

// ---------------------------------------------------------------- the tab

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
  state.site = state.sites.find((one) => one.id === $("site").value) || state.site;
  open();
});
$("more").addEventListener("click", () => {
  state.allPages = !state.allPages;
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
    pause();
    if (state.site) document.title = label(state.site) + " · Pulsehouse"; // no number that would grow old unseen
  } else {
    tick();
    now();
    stayAwake();
  }
});
addEventListener("online", now);
addEventListener("offline", () => isAsking() && refuse(new TypeError("offline")));
addEventListener("hashchange", () => {
  const given = kept();
  if (given && given !== state.token) enter(given);
});
setInterval(() => document.hidden || tick(), 1000);

document.documentElement.classList.toggle("kiosk", kiosk);
document.documentElement.classList.toggle("no-flags", !hasFlags());
stayAwake();
const given = kept();
if (given) enter(given);
else signIn();
