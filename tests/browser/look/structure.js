// What a screen reader would miss; an empty list is a page it can read.
() => {
  const wrong = [];
  const all = (selector) => [...document.querySelectorAll(selector)].filter((element) => element.checkVisibility() || element.closest("svg"));
  const say = (element, what) => wrong.push(`${element.outerHTML.slice(0, 100)}: ${what}`);
  const text = (element) => {
    const by = element.getAttribute("aria-labelledby");
    const named = by ? by.split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join(" ") : "";
    return (named || element.getAttribute("aria-label") || element.textContent || element.getAttribute("title") || "").trim();
  };
  for (const [selector, count] of [["h1", 1], ["main", 1], ["header", 1]])
    if (all(selector).length !== count) wrong.push(`${all(selector).length} x ${selector}, not ${count}`);
  if (!all("nav").length) wrong.push("no nav");
  if (!document.title.trim()) wrong.push("no title");
  let level = 1;
  for (const heading of all("h1, h2, h3, h4, h5, h6")) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) say(heading, `follows a heading of level ${level}`);
    level = own;
  }
  for (const field of all("input:not([type=hidden]), select, textarea"))
    if (!field.labels.length && !field.getAttribute("aria-label") && !field.getAttribute("aria-labelledby")) say(field, "no label");
  for (const control of all("a[href], button, summary, [role=button]"))
    if (!text(control) && !control.querySelector("[aria-label], title, img[alt]")) say(control, "no name");
  for (const picture of all("img, svg"))
    if (!picture.hasAttribute("alt") && picture.getAttribute("aria-hidden") !== "true" && !(picture.getAttribute("role") === "img" && text(picture)))
      say(picture, "neither hidden nor named");
  for (const table of document.querySelectorAll("table")) {
    if (!table.querySelector("thead th")) say(table, "no column headers");
    for (const cell of table.querySelectorAll("tbody th")) if (cell.scope !== "row" && cell.scope !== "rowgroup") say(cell, "a row header without scope");
  }
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of new Set(ids.filter((id, place) => ids.indexOf(id) !== place))) wrong.push(`id ${id} stands twice`);
  for (const element of document.querySelectorAll("[aria-labelledby], [aria-describedby], [aria-controls], label[for]"))
    for (const name of ["aria-labelledby", "aria-describedby", "aria-controls", "for"])
      for (const id of (element.getAttribute(name) ?? "").split(" ").filter(Boolean))
        if (!ids.includes(id)) say(element, `${name} names no element`);
  return wrong;
}
