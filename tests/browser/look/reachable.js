// How many elements Tab should stop at, each marked with its place in order; a group of radio buttons is one stop.
// From then on each stop is noted in `stopsMet`: [its mark, or -1; whether its ring can be seen].
() => {
  const groups = new Set();
  const stops = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]")].filter((element) => {
    if (element.disabled || element.tabIndex < 0 || !element.checkVisibility({ visibilityProperty: true })) return false;
    if (element.type !== "radio") return true;
    const first = !groups.has(element.name);
    groups.add(element.name);
    return first;
  });
  stops.forEach((element, place) => (element.dataset.stop = String(place)));
  window.stopsMet = [];
  if (!window.stopsNoted) document.addEventListener("focusin", ({ target }) => note(target));
  window.stopsNoted = true;
  return stops.length;

  function note(at) {
    const style = getComputedStyle(at);
    const ring = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) || style.boxShadow !== "none";
    const box = at.getBoundingClientRect();
    const inside = box.width > 0 && box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight;
    const group = at.type === "radio" ? document.querySelector(`[name="${at.name}"][data-stop]`) : at;
    window.stopsMet.push([Number(group?.dataset.stop ?? -1), ring && inside]);
  }
}
