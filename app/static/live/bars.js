/* The five minutes of the window as bars. The one in progress is hatched, before the ghost of the last, as it is not over. */
import { change, element, reconcile, set } from "./dom.js";
import { clock, count, numbers } from "./text.js";

/** Draw an answer's `visitorsPerMinute` into a list; without it, five empty places. */
export function drawBars(list, minutes = [], timestamp = null) {
  if (!minutes.length) return list.replaceChildren(...Array.from({ length: 5 }, bar));
  const most = Math.max(1, ...minutes.map((one) => one.visitors));
  const inProgress = Math.floor(Date.parse(timestamp) / 60000);
  const rows = minutes.map(({ visitors }, index) => {
    const age = minutes.length - 1 - index;
    return { visitors, at: new Date((inProgress - age) * 60000), unfinished: age === 0 };
  });
  // Of the places that were empty each takes its minute; afterwards the row moves on.
  if (!list.firstElementChild?.dataset.key) [...list.children].forEach((child, index) => (child.dataset.key = rows[index].at.toISOString()));
  reconcile(list, rows, (one) => one.at.toISOString(), bar, (item, one) => {
    item.classList.toggle("unfinished", one.unfinished);
    item.title = `${clock(one.at)}: ${count(one.visitors, "visitor")}${one.unfinished ? " so far" : ""}`;
    set(item.querySelector(".at"), clock(one.at));
    change(item.querySelector("b"), numbers.format(one.visitors));
    item.querySelector(".bar").style.setProperty("--v", one.visitors / most);
    // What the minute before had, as a ghost: at the turn of a minute nothing seems to collapse.
    item.firstElementChild.style.setProperty("--ghost", one.unfinished ? minutes.at(-2).visitors / most : 0);
  });
}

function bar() {
  const item = element("li");
  const column = element("div", "column", element("div", "bar", element("b")));
  // Which of the two is seen depends on whether the numbers are of now.
  item.append(column, element("span", "label", element("span", "at"), element("span", "when-live", "now")));
  return item;
}
