/* A wall display: one site or several in turn, a clock, a screen that stays awake, and nothing to click. */
import { fetchJson } from "./ask.js";
import { $, element, set } from "./dom.js";
import { follow } from "./follow.js";
import { confirmed, failed } from "./health.js";
import { showAnswer, showSite } from "./site.js";
import { state } from "./state.js";
import { clock } from "./text.js";

let turn = 0;

/** Show sites in turn, `rotateS` seconds each; all are followed all the time, so that a turn shows numbers at once. */
export function openWall(sites, rotateS, onDenied) {
  closeWall();
  const answers = new Map();
  let index = 0;
  const show = () => {
    const site = sites[index];
    showSite(site);
    $("turns").replaceChildren(...sites.map((_, place) => element("i", place === index ? "on" : "")));
    if (answers.has(site.id)) showAnswer(answers.get(site.id));
  };
  show();
  follow({
    ask: async () => {
      const { answers: all } = await fetchJson("api/realtime/batch", { siteIds: sites.map((one) => one.id) });
      return Object.entries(all).map(([siteId, answer]) => ({ siteId, answer }));
    },
    stream: `api/realtime/stream?${sites.map((one) => `siteId=${encodeURIComponent(one.id)}`).join("&")}`,
    onData(news) {
      for (const { siteId, answer } of news) answers.set(siteId, answer);
      const current = news.find((one) => one.siteId === state.site.id);
      if (current) showAnswer(current.answer);
      else confirmed();
    },
    onSame: confirmed,
    onTrouble: (error, waitS) => (error.status === 401 || error.status === 403 ? onDenied(error) : failed(error, waitS)),
  });
  turn = setInterval(() => {
    // Numbers that are not of now stay where it says so.
    if (document.body.dataset.health !== "live") return;
    index = (index + 1) % sites.length;
    show();
  }, rotateS * 1000);
}

export function closeWall() {
  clearInterval(turn);
  $("turns").replaceChildren();
}

/** The clock, and a screen that does not go to sleep. */
export function makeWall() {
  document.documentElement.classList.add("kiosk");
  $("clock").hidden = false;
  const tick = () => set($("clock"), clock(new Date()));
  tick();
  setInterval(tick, 1000);
  document.addEventListener("visibilitychange", stayAwake);
  stayAwake();
}

async function stayAwake() {
  try {
    if (!document.hidden) await navigator.wakeLock.request("screen");
  } catch {
    // not allowed here: the display's own settings hold
  }
}
