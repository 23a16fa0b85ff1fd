/* The page's elements: made, changed where they changed, and moved where that is welcome. */

export const $ = (id) => document.getElementById(id);
export const calm = matchMedia("(prefers-reduced-motion: reduce)");

export function element(name, className, ...content) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...content);
  return made;
}

/** Give an element this text; one that had another shows for a moment that it changed. */
export function change(target, text) {
  if (target.textContent === text) return;
  const first = target.textContent === "" || target.textContent === "–";
  target.textContent = text;
  if (!first) move(target, [{ color: "var(--lamp-ink)" }, {}], 1200);
}

/** The same without a sign, for what changes with the time. */
export function set(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

export function move(target, frames, duration) {
  if (!calm.matches && !document.hidden) target.animate(frames, { duration, easing: "cubic-bezier(.2,.8,.2,1)" });
}

/** Make the children of a list those of `items`, keeping the elements of items that stay; what moves, glides. */
export function reconcile(list, items, keyOf, create, update) {
  const old = new Map([...list.children].map((child) => [child.dataset.key, { child, top: child.offsetTop, left: child.offsetLeft }]));
  const wasFilled = old.size > 0;
  const kept = items.map((item) => {
    const key = keyOf(item);
    const known = old.get(key);
    const child = known ? known.child : create(item);
    old.delete(key);
    child.dataset.key = key;
    update(child, item);
    return { child, known };
  });
  for (const { child } of old.values()) child.remove();
  let place = list.firstElementChild;
  for (const { child } of kept) {
    if (child === place) place = place.nextElementSibling;
    else list.insertBefore(child, place);
  }
  if (calm.matches || document.hidden) return;
  const places = kept.map(({ child }) => [child.offsetLeft, child.offsetTop]);
  kept.forEach(({ child, known }, index) => {
    const [left, top] = places[index];
    if (!known) wasFilled && move(child, [{ opacity: 0, transform: "translateY(-.5rem)" }, {}], 500);
    else if (known.left !== left || known.top !== top)
      move(child, [{ transform: `translate(${known.left - left}px, ${known.top - top}px)` }, {}], 600);
  });
}
