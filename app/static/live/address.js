/* The address: which site, which part of its visitors, how it is looked at. It can be kept, sent, and gone back to. */

/** The dimensions of a breakdown, by their names in the API and in the address. */
const DIMENSIONS = ["page", "country", "referrer", "utmSource", "utmMedium", "utmCampaign"];

const MAX_ROTATED = 100; // as many as one stream may have
const ROTATE_S = 20;

export function read() {
  const query = new URLSearchParams(location.search);
  const rotate = Number(query.get("rotate"));
  return {
    siteIds: query.getAll("siteId").filter(Boolean).slice(0, MAX_ROTATED),
    filters: Object.fromEntries(DIMENSIONS.filter((name) => query.has(name)).map((name) => [name, query.get(name)])),
    tab: DIMENSIONS.includes(query.get("tab")) ? query.get("tab") : "page",
    range: query.get("range") === "day" ? "day" : "half-hour",
    kiosk: query.has("kiosk"),
    rotates: query.has("rotate"),
    rotateS: rotate >= 5 && rotate <= 3600 ? rotate : ROTATE_S,
    theme: ["light", "dark"].find((name) => name === query.get("theme")) || null,
  };
}

/** The address of the page with these parameters in place of those of the same name; null takes one out. */
export function withParameters(changes, from = location.search) {
  const query = new URLSearchParams(from);
  for (const [name, value] of Object.entries(changes)) value === null ? query.delete(name) : query.set(name, value);
  const text = query.toString().replace(/(^|&)kiosk=(?=&|$)/, "$1kiosk");
  return location.pathname + (text ? "?" + text : "");
}

/** The address of a site, or without an id of all sites, looked at afresh. */
export function addressOf(siteId = null) {
  const theme = new URLSearchParams(location.search).get("theme");
  return withParameters({ ...(siteId === null ? {} : { siteId }), ...(theme === null ? {} : { theme }) }, "");
}

/** Go to an address of this page, as a click on a link would, but without loading it again. */
export function go(address, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", address);
  dispatchEvent(new PopStateEvent("popstate"));
}

/** Let clicks on links to this page go there without loading it again. */
export function followLinks() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    const plain = !event.defaultPrevented && event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
    if (!link || !plain || link.target || link.origin !== location.origin || link.pathname !== location.pathname) return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}
