/* What the live page knows, and the token that its tab keeps. */

export const WINDOW_S = 300;

export const state = {
  token: null,
  sites: [],
  site: null, // {id, domain, name}
  answer: null,
  receivedAt: 0, // ms, this machine's clock
  failure: null, // {reason, offline, retryAt}
  allPages: false,
};

export function keep(given) {
  state.token = given;
  try {
    if (given) sessionStorage.setItem("token", given);
    else sessionStorage.removeItem("token");
  } catch {
    // storage is switched off: the token lives as long as the page
  }
}

/** The token of the address, which is taken out of it, or else the one that the tab has kept. */
export function kept() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given !== null) history.replaceState(null, "", location.pathname + location.search);
  try {
    return given || sessionStorage.getItem("token");
  } catch {
    return given;
  }
}
