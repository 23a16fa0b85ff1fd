/* Following numbers: pushed as they change; polled where nothing arrives; once a minute while nobody looks. */
import { messages } from "./ask.js";

const POLL_S = 5;
const HIDDEN_S = 60;
const PATIENCE_S = 3; // a stream says something at once; a proxy that holds it back does not
const SILENCE_S = 25; // afterwards something every 15 s
const PUSH_AGAIN_S = 300;

let turn = () => {};
let rest = () => {};
let end = () => {};
let complain = () => {};

/**
 * Follow something, and nothing else any more: `ask` returns it, `stream` is the path that pushes it, if any.
 * `onData` gets each answer, `onSame` learns that there is no other yet, `onTrouble(error, waitS)` that there is none.
 */
export function follow({ ask, stream, onData, onSame, onTrouble }) {
  stop();
  let round = 0; // what comes of an earlier one is dropped
  let timer = 0;
  let watch = 0;
  let line = null;
  let pushFrom = 0; // ms

  function begin() {
    end();
    return ++round;
  }

  end = () => {
    ++round;
    clearTimeout(timer);
    clearTimeout(watch);
    line?.abort();
    line = null;
  };

  turn = () => (!document.hidden && stream && Date.now() >= pushFrom ? push() : poll());

  rest = () => {
    begin();
    next(HIDDEN_S);
  };

  const next = (seconds) => (timer = setTimeout(turn, seconds * 1000));

  complain = (error) => {
    begin();
    const wait = Math.max(POLL_S, error.retryAfterS || 0);
    pushFrom = Infinity; // a poll has to succeed first
    if (error.status === 401 || error.status === 403) stop();
    else next(wait);
    onTrouble(error, wait);
  };

  async function poll() {
    const asked = begin();
    const startedAt = Date.now();
    try {
      const data = await ask();
      if (asked !== round) return;
      if (pushFrom === Infinity) pushFrom = 0;
      onData(data);
      next(document.hidden ? HIDDEN_S : Math.max(1, POLL_S - (Date.now() - startedAt) / 1000));
    } catch (error) {
      if (asked === round) complain(error);
    }
  }

  async function push() {
    const asked = begin();
    let retryS = POLL_S;
    let heard = false;
    const wait = (seconds, pushAgainS) => {
      clearTimeout(watch);
      watch = setTimeout(() => {
        pushFrom = Date.now() + pushAgainS * 1000;
        poll();
      }, seconds * 1000);
    };
    wait(PATIENCE_S, PUSH_AGAIN_S);
    line = new AbortController();
    try {
      for await (const message of messages(stream, line.signal)) {
        if (asked !== round) return;
        if (message.event === "error") return poll(); // which learns how long to wait
        wait(SILENCE_S, 0);
        if (message.event) {
          heard = true;
          onData([message.data]);
        } else if (message.retryS) retryS = message.retryS;
        else onSame();
      }
      if (asked !== round) return;
      clearTimeout(watch);
      if (heard) return next(retryS);
      throw new Error("a stream without an answer");
    } catch {
      if (asked !== round) return;
      pushFrom = Date.now() + PUSH_AGAIN_S * 1000;
      poll();
    }
  }

  turn();
}

export function stop() {
  end();
  turn = rest = end = complain = () => {};
}

document.addEventListener("visibilitychange", () => (document.hidden ? rest() : turn()));
addEventListener("online", () => turn());
addEventListener("offline", () => complain(new TypeError("offline")));
