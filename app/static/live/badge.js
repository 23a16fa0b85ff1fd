/* The number in the icon of a tab that is not seen. */

const SIZE = 64;
const icon = document.querySelector("link[rel=icon]");
const plain = icon.getAttribute("href");
let drawn = "";

export function drawBadge(number) {
  const digits = Number(number.replace(/\D/g, ""));
  const text = number === "–" ? number : digits < 1000 ? String(digits) : digits < 1e6 ? `${Math.floor(digits / 1000)}k` : `${Math.floor(digits / 1e6)}M`;
  if (text === drawn) return;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIZE;
  const pen = canvas.getContext("2d");
  if (!pen) return;
  pen.fillStyle = "#1c2030";
  pen.roundRect(0, 0, SIZE, SIZE, 14);
  pen.fill();
  pen.fillStyle = "#ffb547";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.font = `600 ${[0, 48, 44, 32][text.length] || 26}px system-ui, sans-serif`;
  pen.fillText(text, SIZE / 2, SIZE / 2 + 3);
  drawn = text;
  icon.href = canvas.toDataURL();
}

export function plainIcon() {
  if (!drawn) return;
  drawn = "";
  icon.href = plain;
}
