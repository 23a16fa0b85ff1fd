/* Words: numbers, times, pages, names. What comes from elsewhere cannot hide, reverse or break what stands beside it. */

export const numbers = new Intl.NumberFormat();
const percents = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 0 });
const countries = new Intl.DisplayNames(undefined, { type: "region" });
const minutes = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const seconds = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

// Controls, bidi and other formats, surrogates, private and unassigned characters; ends of lines and paragraphs.
const ODD = /[\p{C}\p{Zl}\p{Zp}]/u;
const EVERY_ODD = new RegExp(ODD, "gu");
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const utf8 = new TextEncoder();

export function count(number, noun) {
  return `${numbers.format(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** A part of a whole in percent; what is there at all is never 0 %. */
export function percent(part, whole) {
  const share = whole ? part / whole : 0;
  return share > 0 && share < 0.005 ? `<${percents.format(0.01)}` : percents.format(share);
}

/** A time of day where the reader is: hours and minutes. */
export const clock = (at) => minutes.format(at);

/** The same to the second. */
export const clockSeconds = (at) => seconds.format(at);

export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return whole < 60 ? `${whole} s` : whole < 3600 ? `${Math.floor(whole / 60)} min` : `${Math.floor(whole / 3600)} h`;
}

/** A text with its odd characters percent-encoded, so that it looks like no other. */
export function visible(text) {
  return text.replace(EVERY_ODD, (odd) => [...utf8.encode(odd)].map((byte) => "%" + byte.toString(16).toUpperCase().padStart(2, "0")).join(""));
}

/** A page as people read it: percent-encoding undone where that gives plain text. */
export function readable(page) {
  try {
    const decoded = decodeURIComponent(page);
    if (!ODD.test(decoded)) return decoded;
  } catch {
    // not percent-encoded text: shown as it is
  }
  return visible(page);
}

/** A page as an element: its parts follow each other from left to right, whatever they are written in. */
export function pageName(page) {
  const name = document.createElement("span");
  name.className = "page";
  name.dir = "ltr";
  name.title = visible(page);
  const text = readable(page);
  if (!RIGHT_TO_LEFT.test(text)) name.textContent = text;
  else
    for (const part of text.split(/(\/)/)) {
      const kept = document.createElement("bdi");
      kept.textContent = part;
      name.append(part === "/" ? part : kept);
    }
  return name;
}

/** A site as people call it. */
export function label(site) {
  return visible(site.name || site.domain || site.id);
}

export function flagOf(code) {
  return String.fromCodePoint(...[...code].map((letter) => 0x1f1a5 + letter.charCodeAt(0)));
}

export function countryName(code) {
  try {
    return code ? countries.of(code) : "Country not known";
  } catch {
    return code;
  }
}

/** Some systems have no flags and would show the letters a second time. */
export function hasFlags() {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  if (!context) return false;
  context.font = "24px sans-serif";
  context.fillText(flagOf("FR"), 0, 24);
  const data = context.getImageData(0, 0, 32, 32).data;
  return data.some((value, index) => index % 4 === 0 && Math.abs(value - data[index + 2]) > 40);
}
