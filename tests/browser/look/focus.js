// Where the focus is: [its mark, whether it can be seen, what it is]; null on the page as a whole.
() => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  const style = getComputedStyle(at);
  const ring = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) || style.boxShadow !== "none";
  const box = at.getBoundingClientRect();
  const inside = box.width > 0 && box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight;
  const group = at.type === "radio" ? document.querySelector(`[name="${at.name}"][data-stop]`) : at;
  return [group?.dataset.stop === undefined ? -1 : Number(group.dataset.stop), ring && inside, at.outerHTML.slice(0, 100)];
}
