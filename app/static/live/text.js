/* Words: numbers, times, pages, names. What comes from elsewhere cannot hide, reverse or break what stands beside it. */

export const numbers = new Intl.NumberFormat();
const countries = new Intl.DisplayNames(undefined, { type: "region" });

// Controls, bidi and other formats, surrogates, private and unassigned characters; ends of lines and paragraphs.
const ODD = /[\p{C}\p{Zl}\p{Zp}]/u;
const EVERY_ODD = new RegExp(ODD, "gu");
const utf8 = new TextEncoder();

export function count(number, noun) {
  return `${numbers.format(number)} ${noun}${number === 1 ? "" : "s"}`;
}

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
