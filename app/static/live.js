/* The live page: who looks, at what, and how they get there. docs/live.md */
import { addressOf, followLinks, go, read } from "./live/address.js";
import { fetchJson, reasonOf } from "./live/ask.js";
import { forgetCourses, makeReadable } from "./live/course.js";
import { $, set } from "./live/dom.js";
import { stop } from "./live/follow.js";
import { expect, tell } from "./live/health.js";
import { closeParts, makeTabs, remakeParts, toggleAll } from "./live/parts.js";
import { isPublic, openShared } from "./live/shared.js";
import { changeView, makeRanges, openSite, showName } from "./live/site.js";
import { makeSites, openSites } from "./live/sites.js";
import { state } from "./live/state.js";
import { hasFlags, visible } from "./live/text.js";
import { forget, given, keep, kept, onDeviceChange } from "./live/token.js";
import { closeWall, makeWall, openWall } from "./live/wall.js";

const body = document.body;
const root = document.documentElement;
let loading = null; // the sites, on their way

/** Show what the address names. */
function open() {
  if (!state.token) return signIn();
  const { siteIds, rotates, rotateS } = read();
  close();
  body.toggleAttribute("data-shared", isPublic(state.token));
  if (isPublic(state.token)) return openLink(siteIds[0]);
  if (state.kiosk && (siteIds.length > 1 || (rotates && !siteIds.length))) return openTurns(siteIds, rotateS);
  if (siteIds.length) return openOne(siteIds[0]);
  view("sites");
  openSites(first, denied);
}

/** With a public token: the one site that its link names. */
function openLink(siteId) {
  if (!siteId) return notice("This link is not whole", "It has to name a site: ?siteId=…");
  view("site");
  $("home").href = addressOf(siteId);
  openShared(siteId, ({ status }) => {
    close();
    notice("This link does not hold any more", status === 401 ? "Its token was revoked, or it has expired." : "Its token may not see this site.");
  });
}

function openOne(siteId) {
  view("site");
  openSite(known(siteId), denied);
  if (state.site.domain) return;
  loadSites().then(
    () => {
      if (state.site?.id !== siteId) return;
      state.site = known(siteId);
      showName();
      showCrumb();
      remakeParts();
    },
    () => state.site?.id === siteId && showName(true),
  );
}

async function openTurns(siteIds, rotateS) {
  notice("One moment …", "Asking which sites this token may read.");
  try {
    const sites = await loadSites();
    const shown = siteIds.length ? siteIds.map(known) : sites.slice(0, 100);
    if (!shown.length) return noSite();
    view("site");
    openWall(shown, rotateS, denied);
  } catch (error) {
    if (error.status === 401 || error.status === 403) return denied(error);
    notice(reasonOf(error), "Trying again …");
    setTimeout(() => openTurns(siteIds, rotateS), 5000);
  }
}

/** With the first overview: who has one site lands on it. */
function first({ total, sites }) {
  if (total.sites > 1) return false;
  if (total.sites) {
    history.replaceState(null, "", addressOf(sites[0].siteId) + (state.kiosk ? "&kiosk" : ""));
    open();
  } else noSite();
  return true;
}

const known = (siteId) => state.sites?.find((one) => one.id === siteId) ?? { id: siteId, domain: "", name: "" };

/** The sites that the token may read, asked for once. */
function loadSites() {
  loading ||= fetchJson("api/sites").then(
    (list) => (state.sites = list.sites),
    (error) => {
      loading = null;
      throw error;
    },
  );
  return loading;
}

// ---------------------------------------------------------------- views

function view(name) {
  body.dataset.view = name;
  for (const section of $("main").children) section.hidden = section.id !== name;
  $("leave").hidden = name === "signin";
  $("health-box").hidden = name !== "site" && name !== "sites";
  $("banner").hidden = true;
  showCrumb();
}

function showCrumb() {
  const several = state.sites ? state.sites.length > 1 : true;
  const shown = body.dataset.view === "site" || body.dataset.view === "notice";
  $("crumb").hidden = !shown;
  $("to-all").hidden = !several || state.kiosk || !state.token;
  $("to-all").href = $("home").href = addressOf();
  $("crumb-name").hidden = body.dataset.view !== "site";
}

function notice(title, text) {
  set($("notice-title"), title);
  set($("notice-text"), text);
  view("notice");
  expect("");
  document.title = title + " · Pulsehouse";
}

function noSite() {
  close();
  notice("No site yet", "This token is valid, but there is no site that it may read. Add one with: pulsehouse site add");
}

/** End what is shown. */
function close() {
  stop();
  closeParts();
  closeWall();
  delete body.dataset.empty;
  delete body.dataset.filtered;
}

function signIn(message = "") {
  close();
  forget();
  forgetCourses();
  Object.assign(state, { token: null, sites: null, site: null, answer: null });
  loading = null;
  view("signin");
  expect("");
  document.title = "Pulsehouse";
  $("token").value = "";
  set($("token-error"), message);
  $("token").toggleAttribute("aria-invalid", Boolean(message));
  $("token").focus();
}

function enter(token) {
  state.token = token;
  state.sites = loading = null;
  set($("token-error"), "");
  $("main").focus();
  open();
}

async function denied(error) {
  close();
  if (error.status === 401) return signIn("This token is not valid, or it has expired.");
  try {
    await loadSites();
  } catch (failure) {
    if (failure.status) return signIn("This token may not read any site. It needs the scope read or admin.");
  }
  const which = read().siteIds.map(visible).join(", ");
  notice("This token may not see this site", `${which ? `There is no ${which}, or this token may not read it. ` : ""}${state.sites?.length ? "Choose one of your sites, or sign in with another token." : "Sign in with another token."}`);
  tell("This token may not see this site.", true);
}

// ---------------------------------------------------------------- the tab

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = $("token").value.trim();
  if (!/^[\x21-\x7e]+$/.test(token)) return signIn("This is not a token: it has the form ph_live_…");
  forget();
  keep(token, $("keep").checked);
  enter(token);
});
$("leave").addEventListener("click", () => signIn());
$("more").addEventListener("click", toggleAll);
$("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText($("snippet").textContent);
    set($("copy"), "Copied");
    setTimeout(() => set($("copy"), "Copy"), 2000);
  } catch {
    getSelection().selectAllChildren($("snippet")); // no clipboard without https: selected, ready to be copied
  }
});
addEventListener("popstate", () => {
  if (!state.token) return;
  const { siteIds } = read();
  if (!isPublic(state.token) && body.dataset.view === "site" && siteIds.length === 1 && siteIds[0] === state.site.id) {
    changeView();
    if (document.activeElement === body) $("main").focus({ preventScroll: true }); // what had the focus is gone
    return;
  }
  open();
  scrollTo(0, 0);
  $("main").focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || body.dataset.view !== "site" || $("to-all").hidden || event.metaKey || event.ctrlKey || event.altKey) return;
  event.preventDefault();
  go(addressOf());
  $("find").focus();
});
addEventListener("hashchange", () => {
  const token = given();
  if (!token || token === state.token) return;
  keep(token, false);
  enter(token);
});
onDeviceChange((now, before) => {
  if (now === null && before === state.token) signIn();
  else if (now && !state.token) enter(now);
});

const start = read();
state.kiosk = start.kiosk;
if (start.theme) root.style.colorScheme = start.theme;
root.classList.toggle("no-flags", !hasFlags());
if (state.kiosk) makeWall();
followLinks();
makeTabs();
makeRanges();
makeReadable();
makeSites(loadSites);
const brought = given();
if (brought) keep(brought, false);
state.token = brought || kept();
open();
