/* A line of visitors over time, with an earlier one behind it. The minute in progress is dashed, on hatched ground. */
import { element } from "./dom.js";
import { clock, numbers } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 100;
const NAMES = ["before", "area", "today", "last"];

/**
 * Draw points [{at, value, before}], equally far apart, null where not known, into a box; a label under the axis each
 * `labelEvery` minutes of the day. `best` is {at, visitors} to be marked, or null.
 */
export function drawLine(box, points, labelEvery, best = null) {
  if (!box.firstElementChild) build(box);
  const last = points.length - 1;
  const most = ceiling(Math.max(best?.at >= points[0].at ? best.visitors : 0, ...points.map((one) => Math.max(one.value ?? 0, one.before ?? 0))));
  const x = (index) => (index / last) * 100;
  const y = (value) => HEIGHT - (value / most) * HEIGHT;
  const whole = path(points.map((one) => one.value).slice(0, -1), x, y);
  const paths = {
    before: path(points.map((one) => one.before), x, y),
    today: whole.map(([, text]) => text).join(""),
    area: whole.map(([from, text, to]) => `${text}L${x(to)},${HEIGHT}L${x(from)},${HEIGHT}Z`).join(""),
    last: points[last].value !== null && points[last - 1].value !== null ? `M${x(last - 1)},${y(points[last - 1].value)}L${x(last)},${y(points[last].value)}` : "",
  };
  paths.before = paths.before.map(([, text]) => text).join("");
  for (const name of NAMES) box.querySelector(`path.${name}`).setAttribute("d", paths[name]);
  box.querySelector(".top").textContent = numbers.format(most);
  box.querySelector(".half").textContent = most % 2 ? "" : numbers.format(most / 2);
  box.querySelector(".hatch").style.width = `${100 - x(last - 1)}%`;
  mark(box.querySelector(".dot"), points[last].value, 100, y);
  const place = best ? ((best.at - points[0].at) / (points[last].at - points[0].at)) * 100 : -1;
  mark(box.querySelector(".peak"), place >= 0 && place < 100 ? best.visitors : null, place, y);
  box.querySelector(".axis").replaceChildren(...labels(points, labelEvery));
}

function build(box) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 100 ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  for (const name of NAMES) {
    const line = document.createElementNS(SVG, "path");
    line.setAttribute("class", name);
    line.setAttribute("vector-effect", "non-scaling-stroke");
    svg.append(line);
  }
  const marks = ["hatch", "peak", "dot", "rule"].map((name) => element("i", name));
  box.append(element("div", "field-of-line", element("span", "top"), element("span", "half"), marks[0], svg, ...marks.slice(1)), element("div", "axis"));
}

/** The stretches of a line whose values are known, each [first index, path, last index]. */
function path(values, x, y) {
  const stretches = [];
  let text = "";
  let from = 0;
  values.forEach((value, index) => {
    if (value === null) return;
    if (!text) from = index;
    text += `${text ? "L" : "M"}${x(index).toFixed(3)},${y(value).toFixed(2)}`;
    if (values[index + 1] === null || index === values.length - 1) {
      stretches.push([from, text, index]);
      text = "";
    }
  });
  return stretches;
}

function mark(target, value, place, y) {
  target.hidden = value === null;
  if (value === null) return;
  target.style.left = `${place}%`;
  target.style.top = `${y(value)}%`;
}

function labels(points, every) {
  const [from, to] = [points[0].at.getTime(), points.at(-1).at.getTime()];
  const made = [];
  for (let time = from; time <= to; time += 60_000) {
    const at = new Date(time);
    const place = ((time - from) / (to - from)) * 100;
    if ((at.getHours() * 60 + at.getMinutes()) % every || place < 4 || place > 96) continue;
    made.push(element("span", "", clock(at)));
    made.at(-1).style.left = `${place}%`;
  }
  return made;
}

/** A round number that is not below this one. */
function ceiling(value) {
  if (value <= 4) return 4;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((round) => round >= value);
}
