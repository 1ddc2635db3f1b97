// How many elements Tab should stop at, each marked with its place in order; a group of radio buttons is one stop.
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
  return stops.length;
}
