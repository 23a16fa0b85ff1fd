/* The token: of the tab, or of the device where the person says so. */

const PLACES = () => [sessionStorage, localStorage];

/** Keep a token for the tab, or for all tabs until somebody signs out. */
export function keep(token, onDevice) {
  try {
    (onDevice ? localStorage : sessionStorage).setItem("token", token);
  } catch {
    // storage is switched off: the token lives as long as the page
  }
}

export function forget() {
  try {
    for (const place of PLACES()) place.removeItem("token");
  } catch {
    // nothing was kept
  }
}

/** The token that the tab or the device has kept. */
export function kept() {
  try {
    return PLACES().map((place) => place.getItem("token")).find(Boolean) || null;
  } catch {
    return null;
  }
}

/** The token of the address, which is taken out of it; null if there is none. */
export function given() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token !== null) history.replaceState(null, "", location.pathname + location.search);
  return token;
}

/** Call back when another tab signs out, or in, for the whole device. */
export function onDeviceChange(callback) {
  addEventListener("storage", (event) => event.key === "token" && callback(event.newValue, event.oldValue));
}
