/* A large number: each digit has its place, and its ink begins where the text below begins. */
import { element, move } from "./dom.js";

const ruler = document.createElement("canvas").getContext("2d");

export function drawNumber(box, text) {
  const before = box.dataset.text || "";
  if (before === text) return;
  const grew = Number(text.replace(/\D/g, "")) > Number(before.replace(/\D/g, ""));
  box.dataset.text = text;
  box.style.setProperty("--len", Math.max(2, text.length - 0.55 * text.replace(/\d/g, "").length)); // separators are narrow
  box.style.marginLeft = `${inkOffset(box, text[0])}em`;
  box.replaceChildren(
    ...[...text].map((character, index) => {
      const digit = element("span", "", character);
      const old = before[before.length - text.length + index];
      if (old !== character && before) move(digit, [{ transform: `translateY(${grew ? "" : "-"}.22em)`, opacity: 0 }, {}], 450);
      return digit;
    }),
  );
}

/** How far left of its place a character's ink begins, in em; below zero where it begins right of it. */
function inkOffset(box, character) {
  if (!ruler) return 0;
  const style = getComputedStyle(box);
  ruler.font = `${style.fontWeight} 100px ${style.fontFamily}`;
  return ruler.measureText(character).actualBoundingBoxLeft / 100;
}
